"""Lays a folder out as Pulsar's image is, so that the pods of any functions worker run Magnetar's instance in it.

python -m magnetar_instance.image /pulsar
"""

import sys
from pathlib import Path
from typing import NoReturn

_DOWNLOAD_TOOLS = ("bin/pulsar-admin", "bin/pulsarctl")
_LAUNCHER = "instances/python-instance/python_instance_main.py"
_LOGGING = "conf/functions-logging/console_logging_config.ini"
_LOGGING_TEXT = """\
[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=plain

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stdout,)

[formatter_plain]
format=[%(asctime)s] [%(levelname)s] %(filename)s: %(message)s
datefmt=%Y-%m-%d %H:%M:%S %z
"""


def lay_out(root: Path, python: str = sys.executable) -> None:
    """Write the download tool, the launcher and the logging config below a folder, for this interpreter."""
    for tool in _DOWNLOAD_TOOLS:
        _write(root / tool, f'#!/bin/sh\nexec {python} -m magnetar_instance.download "$@"\n', executable=True)
    _write(root / _LAUNCHER, Path(__file__).with_name("launcher").joinpath(Path(_LAUNCHER).name).read_text())
    _write(root / _LOGGING, _LOGGING_TEXT)
    (root / "instances" / "deps").mkdir(parents=True, exist_ok=True)


def _write(path: Path, text: str, *, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755 if executable else 0o644)


def main() -> NoReturn:
    """Lay out the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m magnetar_instance.image FOLDER")
    lay_out(Path(sys.argv[1]))
    sys.exit(0)


if __name__ == "__main__":
    main()
