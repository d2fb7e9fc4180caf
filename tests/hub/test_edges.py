"""What a hub does at its bounds, and with answers and members that are not, or no longer, expected."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pycrdt import Doc

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Credentials, Peer, is_valid
from crdtsync.core.hub.compaction import Compactor
from crdtsync.core.hub.crowd import TOO_FAST, Crowd
from crdtsync.core.hub.documents import compact, compare, load
from crdtsync.core.hub.effects import Compact, ReadLog
from crdtsync.core.hub.events import Compacted, DocumentsFound, ReadFailed, TextFrame, UpdatesChecked
from crdtsync.core.hub.invites import Invite, read_token, token_of
from crdtsync.core.hub.outlet import bounded
from crdtsync.core.hub.store import Size
from crdtsync.core.values import limits
from crdtsync.core.wire.control import Cursor, Presence, TextCursors, encode_control
from crdtsync.core.wire.messages import CaughtUp, Compare, LogEntry
from tests.hub.bench import Bench
from tests.hub.material import DRAFT, NOTES, TASKS, Author, document, lone_update, text_of

KEY = bytes(range(32))
NOW_S = 1_800_000_000
INVITE = Invite("ab" * 8, "notes", read_only=True, name="", made_s=NOW_S - 10, expires_s=NOW_S + 10)


# -- invites ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "invite", "valid"),
    [
        (KEY, INVITE, True),
        (KEY, replace(INVITE, expires_s=NOW_S), False),
        (KEY, replace(INVITE, revoked_s=NOW_S - 1), False),
        (KEY, None, False),
        (None, INVITE, False),
    ],
)
def test_a_token_is_valid_while_an_invite_to_any_room_stands_behind_it(
    key: bytes | None, invite: Invite | None, valid: bool
) -> None:
    known = {} if invite is None else {invite.identity: invite}
    assert is_valid(token_of(INVITE, KEY), Credentials(key, known), NOW_S) is valid
    assert not is_valid("nonsense", Credentials(key, known), NOW_S)


def test_a_token_says_what_its_invite_gives() -> None:
    assert read_token(token_of(INVITE, KEY), KEY) == INVITE.identity
    assert token_of(INVITE, KEY) != token_of(replace(INVITE, read_only=False), KEY)
    assert token_of(INVITE, KEY) != token_of(replace(INVITE, expires_s=None), KEY)


# -- bounds -------------------------------------------------------------------------------------------


def test_of_many_addresses_those_that_came_longest_ago_and_are_gone_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ADDRESSES_KEPT_MAX", 4)
    monkeypatch.setattr(limits, "REQUESTS_PER_ADDRESS_BURST", 1)
    monkeypatch.setattr(limits, "REQUESTS_PER_ADDRESS_PER_S", 0.001)
    crowd = Crowd()
    peers = [Peer(f"203.0.113.{number}", local=False) for number in range(5)]
    for peer in peers[:4]:
        assert crowd.arrive(peer, 0) is None
    for peer in peers[1:4]:
        crowd.leave(peer, unknown=True)
    assert crowd.arrive(peers[4], 0) is None
    told = [crowd.arrive(peers[number], 0) for number in (0, 2, 3, 1)]
    assert told == [TOO_FAST, TOO_FAST, TOO_FAST, None], "the second is as new; the first is still there"


def test_documents_that_were_left_as_they_are_are_forgotten_when_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "COMPACTIONS_WAITING_MAX", 1)
    compactor = Compactor()
    rows = limits.COMPACT_AFTER_UPDATES
    for each in (NOTES, TASKS):
        compactor.consider([Size("notes", each, rows, rows, 0)], 1)
        assert compactor.next() == Compact("notes", each, 1)
        compactor.done(None)
    compactor.consider([Size("notes", TASKS, rows, rows, 0)], 1)
    assert compactor.next() is None, "it has not grown since"
    compactor.consider([Size("notes", NOTES, rows, rows, 0)], 1)
    assert compactor.next() == Compact("notes", NOTES, 1), "it is as if it had never been tried"


def test_what_keeps_a_document_from_being_compacted_is_told_and_the_next_one_goes_on() -> None:
    bench = Bench()
    author = bench.join()
    bench.hold = {Compact}
    for each in (NOTES, TASKS):
        for update in _many(limits.COMPACT_AFTER_UPDATES):
            author.push((each, update))
        bench.settle()
    [first] = bench.held
    assert isinstance(first, Compact)
    bench.held.clear()
    bench.do(Compacted(first.room, first.document, None, "the disk is broken"))
    bench.settle()
    assert [(each.kind, each.message) for each in bench.notices] == [("compaction", "the disk is broken")]
    assert [request.document for request in bench.held if isinstance(request, Compact)] == [TASKS]


def _many(count: int) -> list[bytes]:
    author = Author()
    return [author.type("x") for _ in range(count)]


def test_the_end_of_a_compaction_that_nobody_began_changes_nothing() -> None:
    assert Compactor().done(Size("notes", NOTES, 1, 1, 1)) == 0


def test_a_presence_that_is_too_large_loses_its_last_cursors_first() -> None:
    cursors = tuple(
        TextCursors(document=document(number), ranges=((10**6, 10**6),) * limits.PRESENCE_RANGES_MAX)
        for number in range(limits.PRESENCE_PATHS_MAX)
    )
    editing = ("a" * 900, "b" * 900)
    kept = bounded(Presence(name="x", editing=editing, cursors=cursors))
    assert kept.editing == editing
    assert 0 < len(kept.cursors) < len(cursors)
    assert kept.cursors == cursors[: len(kept.cursors)]
    assert len(encode_control(kept).encode()) <= limits.PRESENCE_MAX_BYTES


@pytest.mark.parametrize(
    ("version", "room", "code"),
    [
        ('"1"', "notes", None),  # it is judged by the rest of the hello, which takes this for 1
        ("99999999999", "notes", "version"),
        ("99", "x" * limits.CONTROL_MAX_BYTES, "protocol"),
        ("9" * 5000, "notes", "protocol"),
    ],
)
def test_a_hello_of_no_known_version_is_refused(version: str, room: str, code: str | None) -> None:
    replica = Bench().connect()
    hello = f'{{"type": "hello", "version": {version}, "room": "{room}", "replica": "r"}}'
    replica.bench.do(TextFrame(replica.number, hello))
    replica.bench.settle()
    assert (replica.refused.code if replica.closed else None) == code


def test_a_replica_may_not_compare_more_documents_than_a_room_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCUMENTS_PER_ROOM_MAX", 2)
    replica = Bench().join(cursor=Cursor(epoch="of another hub", sequence=5))
    for number in range(3):
        replica.send(Compare(False, ((document(number), b"\0"),)))
        replica.bench.settle()
        assert (replica.closed is None) is (number < 2)
    assert "more than 2 documents" in replica.refused.message


def test_one_who_does_not_read_and_is_owed_too_much_is_let_go_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    slow = bench.join()
    slow.reads = False
    members = [bench.join() for _ in range(4)]
    monkeypatch.setattr(bounds, "OWED_MAX", 1)
    monkeypatch.setattr(bounds, "QUEUE_HIGH_BYTES", 1000)
    members[0].push((NOTES, lone_update("x" * 900)))
    bench.settle()
    for number, member in enumerate(members):
        member.text(Presence(name=f"{number}" * 40))
    bench.tick()
    assert slow.closed is not None
    assert (slow.closed.code, slow.closed.reason) == (1013, "this member does not read")
    assert all(member.closed is None for member in members)


# -- answers that nobody waits for, and failures --------------------------------------------------------


def test_answers_that_a_member_does_not_wait_for_change_nothing() -> None:
    bench = Bench()
    replica, other = bench.join(), bench.join()
    bench.do(UpdatesChecked(replica.number, None))
    bench.do(DocumentsFound(replica.number, frozenset()))
    replica.push((NOTES, lone_update("x")))
    bench.settle()
    assert text_of(other.updates) == "x"


def test_a_log_that_cannot_be_read_sends_its_reader_away_to_come_back() -> None:
    bench = Bench()
    author = bench.join()
    author.push((NOTES, lone_update("x")))
    bench.settle()
    bench.hold = {ReadLog}
    reader = bench.join()
    bench.held.clear()
    bench.do(ReadFailed(reader.number, "the disk is broken"))
    assert reader.closed is not None
    assert (reader.closed.code, reader.closed.reason) == (1013, "the disk is broken")
    bench.hold.clear()
    assert bench.join().all(CaughtUp)
    assert author.closed is None


def test_a_room_that_is_gone_when_its_news_are_due_tells_nobody() -> None:
    bench = Bench()
    ann, bob = bench.join(name="Ann"), bench.join(name="Bob")
    bench.tick()
    ann.text(Presence(name="Ann", editing=("a.txt",)))
    bench.settle()
    ann.text(Presence(name="Ann", editing=("b.txt",)))
    bench.memory.full = True
    ann.push((NOTES, lone_update()))
    bench.settle()
    assert ann.closed is not None and bob.closed is not None
    bench.tick()
    bench.memory.full = False
    assert bench.join().all(CaughtUp)


# -- documents ----------------------------------------------------------------------------------------------


def log(*updates: bytes) -> list[LogEntry]:
    return [LogEntry(number, 1000, DRAFT, update) for number, update in enumerate(updates, 1)]


def test_a_difference_above_a_frame_is_told_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "UPDATE_MAX_BYTES", 100)
    found = compare(log(lone_update("x" * 60, 1), lone_update("y" * 60, 2)), b"\0")
    assert (found.update, found.complete) == (b"", False)
    assert found.state_vector != b"\0"
    assert compare(log(lone_update("x" * 60, 1)), b"\0").complete


def test_a_log_that_cannot_be_applied_is_given_row_by_row_and_stays_so() -> None:
    rows = log(lone_update("a", 1), lone_update("b", 2), b"\xff", lone_update("c", 3))
    assert load(rows) == tuple(row.update for row in rows)
    assert compact(DRAFT, rows) is None


def test_a_log_without_the_row_that_compaction_made_is_read_from_its_beginning() -> None:
    rows = log(*_many(3))
    assert text_of(load(rows, whole=99)) == "xxx"
    found = compare(rows, b"\0", whole=99)
    assert found.complete and text_of([found.update]) == "xxx"


class PanicException(BaseException):
    """Stands in for that of pycrdt, which cannot be imported."""


@pytest.mark.parametrize("error", [PanicException("out of bounds"), RuntimeError("refused")])
def test_a_document_at_which_pycrdt_fails_is_told_by_its_rows(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    rows = log(lone_update())
    monkeypatch.setattr(Doc, "apply_update", fails)
    found = compare(rows, b"\0")
    assert (found.update, found.complete) == (b"", False)
    assert load(rows) == (rows[0].update,)


def test_an_interruption_is_none_of_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    rows = log(lone_update())
    monkeypatch.setattr(Doc, "apply_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(rows)
