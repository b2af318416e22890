"""A process that has imported what every Python instance needs, and forks ready instances.

`python -m magnetar_instance.zygote --fd N --reaper worker` serves the requests of `spawner`; an instance runs in the child
itself, so that a start costs a fork and not the imports. Nothing that is imported here may start a thread.
"""

import gc
import importlib
import os
import random
import sys
from typing import NoReturn

import certifi

from magnetar_instance import arguments
from magnetar_instance import main as instance_main
from magnetar_instance.spawn import SpawnRequest
from magnetar_instance.spawner import serve_from_arguments

_LATE_IMPORTS = ("grpc._utilities", "magnetar_instance.sqlite_state")
"""What an instance imports only when it uses it, and nearly each one does."""
_COMMAND = {
    "function_details": '{"tenant": "", "source": {"inputSpecs": {"": {}}}, "sink": {}}',
    "instance_id": "0",
    "port": "0",
    "metrics_port": "0",
    "expected_healthcheck_interval": "0",
}


def run_instance(request: SpawnRequest) -> NoReturn:
    """Run the instance of a request in this forked process and leave with its code."""
    random.seed()
    sys.argv = list(request.argv)
    _take_python_path()
    code = instance_main.run(list(request.argv[1:]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _take_python_path() -> None:
    """Put the directories of PYTHONPATH first, as an interpreter does at its start."""
    directories = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [*directories, *(entry for entry in sys.path if entry not in directories)]


def warm_up() -> None:
    """Do once what each instance would do after its fork: it costs no time there, and what it leaves is shared memory."""
    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    certifi.where()
    arguments.parse([text for name in arguments.REQUIRED for text in (f"--{name}", _COMMAND.get(name, ""))])


def main() -> None:
    """Serve requests for Python instances."""
    warm_up()
    gc.collect()
    gc.freeze()
    serve_from_arguments(None, run_instance)


if __name__ == "__main__":
    main()
