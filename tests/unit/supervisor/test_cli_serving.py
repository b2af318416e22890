import subprocess
import sys

CODE = """
import sys
from magnetar.cli.serving import load_serve
load_serve()
import httpcore
print({"rich", "httpx._main", "h2"} & sys.modules.keys())
import rich
"""


def test_a_server_starts_without_what_it_has_no_use_for() -> None:
    """And who asks for it later has it."""
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
