"""What some tests need of the machine; each is skipped with one line, or fails where MAGNETAR_REQUIRE names it."""

import os
import shutil
from collections.abc import Callable

import pytest

_PROGRAMS = {"java": "java", "maven": "mvn", "go": "go", "browser": "chromium"}


def requires(name: str, found: Callable[[], bool] | None = None) -> pytest.MarkDecorator:
    """Return a mark for tests that need `java`, `maven`, `go`, `kube`, `browser`, `pulsar` or `cgroup`.

    `found` tells whether it is here, for what is not a program on the PATH.
    """
    here = found() if found else shutil.which(_PROGRAMS[name]) is not None
    if name in os.environ.get("MAGNETAR_REQUIRE", "").split(","):
        assert here, f"{name} is required by MAGNETAR_REQUIRE and is missing on this machine"
    return pytest.mark.skipif(not here, reason=f"{name} is missing on this machine")
