"""Looks at the interpreter, the kernel, the limits and the programs of this host."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator

from magnetar.cli.doctor.findings import Finding, Verdict

_OLDEST = (3, 11)
_FILES = 4096
_PATIENCE = 20
_TRIAL = "import pulsar; from pulsar import Client, Function; import _pulsar; print(pulsar.__version__)"
_PROGRAMS = {
    "java": (("java", "-version"), "Java functions need one: install a JRE 17 or newer"),
    "go": (("go", "version"), "Go functions are executables; only building them needs it"),
}


def look_at_interpreter() -> Finding:
    """Judge the interpreter, which Python instances run in too."""
    version = platform.python_version()
    detail = f"Python {version} at {sys.executable}"
    if sys.version_info < _OLDEST:
        return Finding("interpreter", Verdict.FAILURE, detail, "install Python 3.11 or newer")
    return Finding("interpreter", Verdict.OK, detail)


def look_at_client() -> Finding:
    """Import Pulsar's client in a process of its own, as an instance does."""
    name, remedy = "pulsar-client", "install it with its binary wheel: pip install --force-reinstall pulsar-client"
    try:
        found = subprocess.run(
            [sys.executable, "-c", _TRIAL], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, Verdict.FAILURE, f"an interpreter can't be started: {error}", remedy)
    if found.returncode == 0:
        return Finding(name, Verdict.OK, found.stdout.strip())
    last = (found.stderr.strip().splitlines() or [f"exit code {found.returncode}"])[-1]
    if "cannot import name" in last or "has no attribute" in last:
        remedy = "another distribution named pulsar hides it: pip uninstall pulsar, then install pulsar-client"
    return Finding(name, Verdict.FAILURE, last, remedy)


def look_at_kernel() -> Finding:
    """Judge whether the kernel tells the end of a process."""
    system = f"{platform.system()} {platform.release()}"
    if not hasattr(os, "pidfd_open"):
        return Finding("kernel", Verdict.FAILURE, f"{system} has no pidfd", "run on Linux 5.4 or newer")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        remedy = "use a newer kernel, or let the sandbox allow pidfd_open"
        return Finding("kernel", Verdict.FAILURE, f"{system}: pidfd_open: {error.strerror}", remedy)
    return Finding("kernel", Verdict.OK, system)


def look_at_limits() -> Finding:
    """Judge how many files may be open: a worker with many instances needs some for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 < soft < _FILES:
        remedy = f"raise it for many functions: ulimit -n {_FILES if hard < 0 else min(hard, _FILES)}"
        return Finding("open files", Verdict.WARNING, str(soft), remedy)
    return Finding("open files", Verdict.OK, str(soft))


def look_at_programs() -> Iterator[Finding]:
    """Look for what functions in other languages need; their absence is no fault."""
    for name, (command, remedy) in _PROGRAMS.items():
        if shutil.which(name) is None:
            yield Finding(name, Verdict.NOTE, "not installed", remedy)
            continue
        found = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        first = (found.stdout or found.stderr).strip().splitlines() or [f"exit code {found.returncode}"]
        yield Finding(name, Verdict.OK if found.returncode == 0 else Verdict.WARNING, first[0])
