"""Indexes for segments that get nothing any more, written beside the journal's own work."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from magnetar_broker.store.columns import Columns
from magnetar_broker.store.index import index_path, write_index

logger = logging.getLogger(__name__)


class _Contents:
    """What a segment holds: columns up to a position, and the heads of the records from there on."""

    __slots__ = ("columns", "end", "heads")

    def __init__(self, columns: Columns, end: int) -> None:
        self.columns = columns
        self.end = end
        self.heads: list[bytes] = []


class Sealer:
    """Keeps what the growing segments hold, and writes it into an index when one is sealed.

    A segment of which not everything is known gets none.
    """

    def __init__(self) -> None:
        self._growing: dict[int, _Contents] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal index")

    @property
    def growing(self) -> list[int]:
        """The segments that are known and have no index yet, oldest first."""
        return list(self._growing)

    def begin(self, segment: int, columns: Columns | None = None, end: int = 0) -> None:
        """Know a segment: an empty one, or what it holds up to `end`."""
        self._growing[segment] = _Contents(columns or Columns(), end)

    def written(self, segment: int, heads: bytes) -> None:
        """Take note of records that are on disk, by their heads."""
        contents = self._growing.get(segment)
        if contents is not None:
            contents.heads.append(heads)

    def seal(self, segment: int, path: Path, size: int) -> None:
        """Write the index of a segment that is `size` bytes long, soon."""
        self._thread.submit(_write, path, self._growing.pop(segment), size)

    def forget(self, segment: int, path: Path) -> None:
        """Remove what there is of a segment that goes."""
        self._growing.pop(segment, None)
        index_path(path).unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for the indexes that are being written."""
        self._thread.shutdown()


def _write(path: Path, contents: _Contents, size: int) -> None:
    contents.columns.add_heads(b"".join(contents.heads), contents.end)
    try:
        write_index(index_path(path), contents.columns, size)
    except OSError as error:
        logger.info("%s has no index: %s; it will be read when the broker opens", path, error.strerror)
