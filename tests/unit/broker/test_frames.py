import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.topics.keyhash import murmur3
from magnetar_broker.wire.frames import MAX_FRAME_SIZE, FrameError, FrameReader

FRAMES = st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=200)), max_size=8)


def frame(command: bytes, rest: bytes) -> bytes:
    return struct.pack(">II", 4 + len(command) + len(rest), len(command)) + command + rest


@given(FRAMES, st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_however_the_bytes_are_cut(frames: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """The network cuts a stream anywhere; each frame comes once, whole and in order."""
    stream = b"".join(frame(*each) for each in frames)
    reader, found, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        found += [(bytes(command), bytes(rest)) for command, rest in reader.feed(stream[at : at + step])]
        at, turn = at + step, turn + 1
    assert found == frames


@pytest.mark.parametrize(
    "start",
    [
        struct.pack(">I", MAX_FRAME_SIZE + 1),
        struct.pack(">I", 3) + b"abc",
        struct.pack(">II", 10, 7) + b"x" * 6,
        b"GET / HTTP/1.1\r\n",
    ],
    ids=["too large", "too small", "a command beyond its frame", "another protocol"],
)
def test_what_is_no_frame_is_refused_at_its_head(start: bytes) -> None:
    """Nothing is waited for that could only be garbage."""
    with pytest.raises(FrameError):
        list(FrameReader().feed(start))


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    """Any bytes give frames, FrameError or nothing yet; never another error."""
    try:
        for command, rest in FrameReader().feed(data):
            assert len(command) + len(rest) <= len(data)
    except FrameError:
        pass


@pytest.mark.parametrize(("text", "expected"), [(b"", 0), (b"a", 1009084850), (b"hello", 613153351)])
def test_the_hash_of_keys_is_murmur3(text: bytes, expected: int) -> None:
    """The values are those of the published algorithm."""
    assert murmur3(text) == expected
