"""An instance as a process: `python -m magnetar_instance.main` with the command line of Pulsar's python_instance_main.py."""

import asyncio
import faulthandler
import os
import signal
import sys
from typing import NoReturn

from magnetar_instance.arguments import UsageError, fail_usage, parse
from magnetar_instance.errors import BootError
from magnetar_instance.host import EXIT_BOOT_FAILED, Host, report_boot_error
from magnetar_instance.loading import load_function
from magnetar_instance.logs import set_up_process
from magnetar_instance.supervisor_link import SupervisorLink

_STANDARD_ERROR = 2
"""The descriptor: whatever stands for sys.stderr, stacks are asked of a process that may not come to write a record."""


def run(argv: list[str]) -> int:
    """Run an instance with these arguments (without the program's name); returns the exit code.

    SIGQUIT writes the stacks of all threads to standard error, as it does in Java and Go, and the instance goes on.
    """
    link = SupervisorLink.from_environment()
    try:
        settings, options = parse(argv)
        log = set_up_process(
            settings.log_file, options.logging_config, options.logging_level, supervised=link is not None
        )
        faulthandler.register(signal.SIGQUIT, file=_STANDARD_ERROR)
        function = load_function(settings, provided=link is not None)
        reopen = log.reopen if log is not None else lambda: None
        return asyncio.run(Host(settings, options, function, link=link, reopen_log=reopen).run())
    except UsageError as error:
        return fail_usage(error)
    except BootError as error:
        report_boot_error(error, link)
        return EXIT_BOOT_FAILED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


def main() -> NoReturn:
    """Run with the command line and leave, without waiting for threads that user code may have left."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
