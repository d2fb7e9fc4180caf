"""A websocket's stream cut into large messages and the rest, however the network cuts it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from crdtsync.adapters.large_frames import LARGE_FROM_BYTES, LargeFrames

MAX_BYTES = 100_000
BINARY, TEXT = Opcode.BINARY, Opcode.TEXT
USUAL = [(Opcode.PING, 0), (TEXT, 5), (BINARY, 200), (BINARY, 0), (Opcode.PONG, 125)]
LARGE = [(BINARY, LARGE_FROM_BYTES), (BINARY, 70_000), (BINARY, MAX_BYTES)]


class Cut:
    """What came of a stream: large messages, and what was passed on before each of them and at the end."""

    def __init__(self, *, masked: bool) -> None:
        self.messages: list[bytes] = []
        self.others = [b""]
        self.frames = LargeFrames(MAX_BYTES, masked=masked, deliver=self._deliver, others=self._pass_on)

    def _deliver(self, message: bytes) -> None:
        self.messages.append(message)
        self.others.append(b"")

    def _pass_on(self, data: bytes) -> None:
        self.others[-1] += data

    def read(self, stream: bytes, rng: random.Random) -> None:
        """As a transport does, which reads into the room that there is."""
        rest = memoryview(stream)
        while rest:
            room = self.frames.room
            if room is not None and rng.random() < 0.7:
                count = min(len(room), rng.randint(1, 40_000), len(rest))
                room[:count] = rest[:count]
                self.frames.filled(count)
            else:
                count = min(rng.choice((1, 3, 500, 90_000)), len(rest))
                self.frames.take(rest[:count])
            rest = rest[count:]


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(USUAL + LARGE), max_size=8),
    masked=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_each_message_comes_once_and_whole_however_the_stream_is_cut(
    kinds: list[tuple[Opcode, int]], masked: bool, seed: int
) -> None:
    rng = random.Random(seed)
    cut = Cut(masked=masked)
    messages: list[bytes] = []
    others = [b""]
    stream = b""
    for opcode, size in kinds:
        data = rng.randbytes(size)
        frame = Frame(opcode, data).serialize(mask=masked)
        stream += frame
        if (opcode, size) in LARGE:
            messages.append(data)
            others.append(b"")
        else:
            others[-1] += frame
    cut.read(stream, rng)
    assert (cut.messages, cut.others) == (messages, others)


LARGE_FRAME = Frame(BINARY, bytes(50_000)).serialize(mask=True)


@pytest.mark.parametrize(
    "unusual",
    [
        Frame(BINARY, bytes(MAX_BYTES + 1)).serialize(mask=True),
        Frame(BINARY, bytes(50_000)).serialize(mask=False),
        Frame(TEXT, b"x" * 50_000).serialize(mask=True),
        Frame(BINARY, bytes(50_000), fin=False).serialize(mask=True),
        bytes([LARGE_FRAME[0] | 0x40]) + LARGE_FRAME[1:],
        Frame(Opcode.CONT, bytes(50_000)).serialize(mask=True),
    ],
    ids=["too large", "not masked", "large text", "fragment", "reserved bit", "last fragment"],
)
def test_from_whatever_is_unusual_the_library_has_all_of_it(unusual: bytes) -> None:
    cut = Cut(masked=True)
    cut.read(LARGE_FRAME + unusual + LARGE_FRAME, random.Random(1))
    assert cut.messages == [bytes(50_000)]
    assert cut.others == [b"", unusual + LARGE_FRAME]
