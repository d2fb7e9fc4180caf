"""What a session makes of a hub that says more than is due."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import session as sessions
from crdtsync.core.replica.effects import SendBinary, SendText
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.session import HubSession, Identity
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_replica, encode_from_hub
from crdtsync.core.wire.control import Left, Presence, Welcome, encode_control
from crdtsync.core.wire.messages import (
    PROTOCOL_VERSION,
    CaughtUp,
    Compare,
    Differ,
    Difference,
    LogEntry,
    Relay,
)
from crdtsync.errors import PeerError
from tests.replica.test_reseeding import DOCUMENTS, Holder


class Small(Holder):
    """Each document lacks a byte at the hub."""

    def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
        self.asked.append(document)
        return b"x"


def live(holder: Holder) -> tuple[HubSession, Outbox]:
    out = Outbox()
    session = HubSession(Identity("room", "1", "Ann", None), holder, out, None, ())
    session.connected()
    welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch="new", sequence=0, resume=True)
    session.text_frame(encode_control(welcome))
    session.binary_frame(encode_from_hub(CaughtUp(0)))
    return session, out


def test_very_many_answers_are_pushed_over_several_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ANSWERS_PER_EVENT", 50)
    holder = Small()
    session, _ = live(holder)
    session.binary_frame(encode_from_hub(Differ(tuple(Difference(d, b"\0", b"") for d in DOCUMENTS[:120]))))
    asked = []
    for _ in range(3):
        session.advance()
        asked.append(len(holder.asked))
    assert asked == [50, 100, 120]
    assert not session.eager


def test_of_more_people_than_a_room_takes_the_first_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS_PER_ROOM_MAX", 2)
    session, _ = live(Small())
    for member in (2, 3, 4):
        session.text_frame(encode_control(Presence(member=member, name=f"{member}")))
    assert sorted(session.peers) == [2, 3]
    session.text_frame(encode_control(Left(member=2)))
    session.text_frame(encode_control(Presence(member=4, name="4")))
    assert sorted(session.peers) == [3, 4]


def test_nobody_is_told_of_what_is_done_while_there_is_no_hub() -> None:
    session, out = live(Small())
    session.disconnected()
    out.take()
    session.announce(("a.md",), (), ())
    assert [effect for effect in out.take() if isinstance(effect, SendText)] == []


def test_a_hub_that_says_twice_that_all_is_here_breaks_the_protocol() -> None:
    session, _ = live(Small())
    with pytest.raises(PeerError, match="said twice"):
        session.binary_frame(encode_from_hub(CaughtUp(0)))


def test_a_hub_that_greets_twice_breaks_the_protocol() -> None:
    session, _ = live(Small())
    welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch="new", sequence=0, resume=True)
    with pytest.raises(PeerError, match="sent 'welcome' while live"):
        session.text_frame(encode_control(welcome))


def test_a_hub_that_sends_the_log_before_its_greeting_breaks_the_protocol() -> None:
    session = HubSession(Identity("room", "1", "Ann", None), Small(), Outbox(), None, ())
    session.connected()
    with pytest.raises(PeerError, match="sent CaughtUp while greeting"):
        session.binary_frame(encode_from_hub(CaughtUp(0)))


def test_a_state_vector_that_cannot_be_read_breaks_the_protocol() -> None:
    class Strict(Holder):
        def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
            raise ValueError("no state vector")

    session, _ = live(Strict())
    session.binary_frame(encode_from_hub(Differ((Difference(DOCUMENTS[0], b"\xff", b""),))))
    with pytest.raises(PeerError, match="cannot be read"):
        session.advance()


@pytest.mark.parametrize("epoch", ["old", "new"])
def test_what_was_read_beyond_the_cursor_is_compared_with_another_life_of_the_hub_alone(epoch: str) -> None:
    out = Outbox()
    session = HubSession(Identity("room", "1", "Ann", None), Small(), out, None, ())

    def connect(to: str) -> list[DocumentId]:
        """Returns what is compared."""
        session.connected()
        welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch=to, sequence=0, resume=True)
        session.text_frame(encode_control(welcome))
        out.take()
        session.binary_frame(encode_from_hub(CaughtUp(0)))
        frames = [decode_from_replica(each.data) for each in out.take() if isinstance(each, SendBinary)]
        return [document for each in frames if isinstance(each, Compare) for document, _ in each.documents]

    assert connect("old") == []
    session.disconnected()
    session.connected()
    welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch="old", sequence=0, resume=True)
    session.text_frame(encode_control(welcome))
    session.binary_frame(encode_from_hub(Relay((LogEntry(1, 0, DOCUMENTS[0], b"x"),))))
    session.disconnected()
    compared = connect(epoch)
    assert compared == ([] if epoch == "old" else DOCUMENTS)
    assert session.ahead == ("" if epoch == "old" else "old")
    if compared:
        session.binary_frame(encode_from_hub(Differ(tuple(Difference(d, b"\0", b"") for d in compared))))
    while session.eager:
        session.advance()
    assert session.ahead == ""
