"""Starts Magnetar's Python instance under the name and with the command line of Pulsar's own."""

import sys
from pathlib import Path

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]

from magnetar_instance.main import main  # noqa: E402 - only after this folder has left the path

if __name__ == "__main__":
    main()
