"""The examples and tables of docs/protocol.md are what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crdtsync.core.hub.shared import CLOSE_CODES
from crdtsync.core.hub.states import DUE
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire import codec
from crdtsync.core.wire.control import decode_control, type_of
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    Difference,
    FromHub,
    FromReplica,
    LogEntry,
    Probe,
    Probed,
    Push,
    Relay,
)
from tests.hub.material import lone_update

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
DOCUMENT = DocumentId("0a" * 12)
UPDATE = lone_update("hi")
VECTOR = b"\x01\x01\x02"

FROM_REPLICA: list[FromReplica] = [
    Push(5, ((DOCUMENT, UPDATE),)),
    Compare(True, ((DOCUMENT, VECTOR),)),
    Probe(300),
]
FROM_HUB: list[FromHub] = [
    Relay((LogEntry(41, 1_700_000_000_000, DOCUMENT, UPDATE),)),
    Accepted(5, 42),
    Ack(5, 42),
    Committed(42),
    Differ((Difference(DOCUMENT, VECTOR, b""),)),
    CaughtUp(41),
    Probed(300, 42),
]


@pytest.mark.parametrize("message", [*FROM_REPLICA, *FROM_HUB], ids=lambda message: type(message).__name__)
def test_the_example_of_a_message_is_its_encoding(message: FromReplica | FromHub) -> None:
    if isinstance(message, Push | Compare | Probe):
        frame = codec.encode_from_replica(message)
        assert codec.decode_from_replica(frame) == message
    else:
        frame = codec.encode_from_hub(message)
        assert codec.decode_from_hub(frame) == message
    name = type(message).__name__
    assert f"\n{frame.hex(' ')}\n   {name}: " in TEXT
    assert re.search(rf"^\| {frame[0]} \| {name} \|", TEXT, re.MULTILINE)


def test_the_examples_of_control_messages_are_taken() -> None:
    block = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    assert [type_of(decode_control(line)) for line in block[1].splitlines()] == ["hello", "welcome"]


def test_the_table_of_refusals_names_each_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d{4}) \|", TEXT, re.MULTILINE)
    assert {name: int(code) for name, code in rows} == CLOSE_CODES


def test_the_session_table_is_the_one_in_the_code() -> None:
    for state, due in DUE.items():
        row = re.search(
            rf"^\| {state}\b[^|]*\|[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXT, re.MULTILINE
        )
        assert row is not None, state
        told = {
            kind for kind, cell in zip((Push, Compare, Probe), row.groups(), strict=True) if "due" in cell
        }
        assert told == due, state
