import subprocess
import sys

CODE = """
import sys
from magnetar.cli.serving import load_serve
load_serve()
print("rich" in sys.modules, "httpx._main" in sys.modules)
import rich
"""


def test_a_server_starts_without_what_would_only_make_it_prettier() -> None:
    """And who asks for it later has it."""
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"
