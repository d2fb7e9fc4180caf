"""Whatever a member sends, the engine either takes it or refuses that member; it never fails itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.hub.effects import Compact
from crdtsync.core.hub.events import BinaryFrame, TextFrame
from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_from_replica
from crdtsync.core.wire.control import Hello, Presence, encode_control
from crdtsync.core.wire.messages import Compare, Probe, Push
from tests.hub.bench import AT_MS, Bench
from tests.hub.material import NOTES, TREE, Author, lone_update, map_update, text_of

_writer = Author(4)
UPDATES = [
    _writer.type("hello world"),
    _writer.erase(2, 5),
    lone_update("x" * 300),
    map_update({"a": 1, "b": [1, {"c": None}], "d": "é" * 40}),
]
FRAMES = [
    *(encode_from_replica(Push(1, ((NOTES, update), (TREE, update)))) for update in UPDATES),
    encode_from_replica(Compare(True, ((NOTES, _writer.doc.get_state()),))),
    encode_from_replica(Probe(1)),
]
TEXTS = [
    encode_control(Hello(room="notes", replica="r", name="ann")),
    encode_control(Presence(name="ann", editing=("a.md", "b.md"))),
]


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A valid frame with a few bytes changed, left out or put in."""
    frame = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(frame)))
        taken = draw(st.integers(0, 3))
        frame[at : at + taken] = draw(st.binary(max_size=6))
    return bytes(frame)


def survives(bench: Bench) -> str:
    """The others go on, and a newcomer is given a log that it can read; what it reads."""
    author, reader = bench.join(), bench.join()
    author.push((NOTES, lone_update("still here", 1000)))
    bench.settle()
    assert reader.updates[-1] == lone_update("still here", 1000)
    text = text_of(bench.join().updates)
    assert "still here" in text
    return text


@given(st.one_of(st.binary(max_size=200), damaged(FRAMES)))
@settings(max_examples=400, deadline=None)
def test_any_binary_frame_harms_nobody_else(frame: bytes) -> None:
    bench = Bench()
    member = bench.join()
    bench.do(BinaryFrame(member.number, frame, AT_MS))
    bench.settle()
    survives(bench)


@given(
    st.one_of(
        st.text(max_size=200),
        damaged([text.encode() for text in TEXTS]).map(lambda frame: frame.decode("utf-8", "replace")),
    ),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_any_text_frame_harms_nobody_else(frame: str, greeted: bool) -> None:
    bench = Bench()
    member = bench.join() if greeted else bench.connect()
    bench.do(TextFrame(member.number, frame))
    bench.settle()
    survives(bench)


@given(st.lists(damaged(UPDATES), min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_updates_in_a_compacted_document_harm_nobody_else(updates: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "COMPACT_AFTER_UPDATES", 6)
        bench = Bench()
        for update in updates:
            member = bench.join()
            member.push((NOTES, update))
            bench.settle()
        author = bench.join()
        author.push(*((NOTES, lone_update(str(number), 5000 + number)) for number in range(8)))
        bench.settle()
    author.send(Compare(False, ((NOTES, b"\0"),)))
    bench.settle()
    assert author.closed is None
    assert any(isinstance(request, Compact) for request in bench.answered)
    assert set("01234567") <= set(survives(bench))
