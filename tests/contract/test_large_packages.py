"""A large package on its way through a worker, which holds no more of it than a few blocks.

`MAGNETAR_UPLOAD_MIB=1024` measures with a GiB.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from standalone import Standalone, standalone

MIB = 2**20
SIZE = int(os.environ.get("MAGNETAR_UPLOAD_MIB", "160"))
MOST, SPARE = 100, 40
"""MiB of its own that a worker has at the most, and by how much a peak may rise, whatever the size."""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data") as running:
        yield running


def peak(pid: int) -> int:
    """Return the most memory that a process has held, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def test_a_large_package_goes_through_a_small_worker(worker: Standalone, tmp_path: Path) -> None:
    """Uploaded and downloaded again it is the same, and neither the worker nor its broker ever held it."""
    file, digest = tmp_path / "large.bin", hashlib.sha256()
    with file.open("wb") as written:
        for number in range(SIZE):
            block = number.to_bytes(4, "big") * (MIB // 4)
            digest.update(block)
            written.write(block)
    broker = next(each for each in worker.children() if "magnetar_broker" in " ".join(each.cmdline()))
    peaks = {pid: peak(pid) for pid in (worker.pid, broker.pid)}
    location = "public/default/large/1"
    with file.open("rb") as opened:
        parts = {"path": (None, location), "data": ("large.bin", opened)}
        answer = worker.http.post("/admin/v3/functions/upload", files=parts, timeout=400)
    assert answer.status_code == 204, answer.text
    received = hashlib.sha256()
    with worker.http.stream("GET", "/admin/v3/functions/download", params={"path": location}, timeout=400) as download:
        assert download.status_code == 200
        for block in download.iter_bytes(MIB):
            received.update(block)
    assert received.hexdigest() == digest.hexdigest()
    own = psutil.Process(worker.pid).memory_full_info().uss // MIB
    grown = [peak(pid) - peaks[pid] for pid in peaks]
    print(f"{SIZE} MiB: at their peaks worker and broker grew by {grown} MiB; the worker's own memory is {own} MiB")
    assert own < MOST
    assert max(grown) < SPARE
