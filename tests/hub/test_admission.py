"""Who may enter: invites and tokens, the decision, what web pages may ask, what the engine does."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from random import Random

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.hub.admission import (
    EXPIRED,
    HERE,
    NO_TOKEN,
    NOT_VALID,
    OTHER_ROOM,
    READ_ONLY,
    REVOKED,
    Asking,
    Credentials,
    Demand,
    Denied,
    Granted,
    Peer,
    decide,
    still_holds,
)
from crdtsync.core.hub.attempts import Attempts
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import Expelled
from crdtsync.core.hub.invites import Invite, new_identity, read_token, token_of
from crdtsync.core.hub.webpages import WebPolicy, check_origin
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE
from crdtsync.core.wire.control import Hello, Presence, Refused
from crdtsync.core.wire.messages import Ack, CaughtUp
from tests.hub.bench import Bench, Replica
from tests.hub.material import NOTES, lone_update

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NOW_S = 1_800_000_000
FAR = Peer("203.0.113.9", local=False)
INVITE = Invite(new_identity(Random(1)), "notes", read_only=False, name="", made_s=NOW_S - 10)
TOKEN = token_of(INVITE, KEY)


def credentials(*invites: Invite) -> Credentials:
    return Credentials(KEY, {invite.identity: invite for invite in invites or (INVITE,)})


def ask(token: str | None, room: str = "notes", peer: Peer = FAR) -> Asking:
    return Asking(room, token, None, peer)


# -- tokens -------------------------------------------------------------------------------------------


def test_a_token_names_its_invite_to_the_hub_that_made_it_only() -> None:
    assert read_token(TOKEN, KEY) == INVITE.identity
    assert read_token(TOKEN, OTHER_KEY) is None
    assert token_of(INVITE, KEY) == TOKEN


def test_a_token_with_anything_changed_is_no_token() -> None:
    for at in range(0, len(TOKEN), 3):
        changed = TOKEN[:at] + ("A" if TOKEN[at] != "A" else "B") + TOKEN[at + 1 :]
        if at != len(TOKEN) - 1:  # the last character's low bits are no part of the signature
            assert read_token(changed, KEY) is None, at


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS256"])
def test_a_token_does_not_choose_how_it_is_checked(algorithm: str) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=")
    _, payload, signature = TOKEN.split(".")
    for end in ("", signature):
        assert read_token(f"{header.decode()}.{payload}.{end}", KEY) is None


def test_a_token_of_something_else_signed_by_the_same_key_is_none_of_ours() -> None:
    for claims in ({"jti": INVITE.identity}, {"iss": "other", "jti": INVITE.identity}, {"iss": "crdtsync"}):
        assert read_token(jwt.encode(claims, KEY, algorithm="HS256"), KEY) is None


@given(st.text(max_size=300) | st.just("a." * limits.TOKEN_MAX_CHARS) | st.just("{" * 4000))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read_token(text, KEY) is None


# -- the decision -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "local", "enters"),
    [
        (Demand.NOBODY, True, True),
        (Demand.NOBODY, False, True),
        (Demand.REMOTE, True, True),
        (Demand.REMOTE, False, False),
        (Demand.EVERYBODY, True, False),
        (Demand.EVERYBODY, False, False),
    ],
)
def test_without_an_invite_the_hub_decides_by_what_it_demands(
    demand: Demand, local: bool, enters: bool
) -> None:
    peer = HERE if local else FAR
    for token in (None, "nonsense"):
        answer = decide(ask(token, peer=peer), demand, credentials(), NOW_S)
        assert answer == (Granted() if enters else Denied(NO_TOKEN if token is None else NOT_VALID))


@pytest.mark.parametrize("demand", list(Demand))
def test_an_invite_gives_what_its_record_says_whatever_is_demanded(demand: Demand) -> None:
    assert decide(ask(TOKEN), demand, credentials(), NOW_S) == Granted(invite=INVITE.identity)
    record = replace(INVITE, read_only=True, name="Bob", expires_s=NOW_S + 5)
    assert decide(ask(TOKEN), demand, credentials(record), NOW_S) == Granted(
        True, "Bob", INVITE.identity, NOW_S + 5
    )
    for made, room, reason in (
        (replace(INVITE, expires_s=NOW_S), "notes", EXPIRED),
        (replace(INVITE, revoked_s=NOW_S - 5), "notes", REVOKED),
        (replace(INVITE, identity="00"), "notes", REVOKED),
        (INVITE, "tasks", OTHER_ROOM),
    ):
        assert decide(ask(TOKEN, room), demand, credentials(made), NOW_S) == Denied(reason)


def test_a_hub_that_never_made_an_invite_knows_no_token() -> None:
    assert decide(ask(TOKEN), Demand.EVERYBODY, Credentials(), NOW_S) == Denied(NOT_VALID)
    assert decide(ask(TOKEN), Demand.NOBODY, Credentials(), NOW_S) == Granted()


def test_who_is_inside_stays_as_long_as_the_invite_holds() -> None:
    inside = Granted(invite=INVITE.identity)
    assert still_holds(Granted(), Credentials(), NOW_S) is None
    assert still_holds(inside, credentials(), NOW_S) is None
    assert still_holds(inside, Credentials(), NOW_S) == REVOKED
    assert still_holds(inside, credentials(replace(INVITE, revoked_s=NOW_S)), NOW_S) == REVOKED
    ending = credentials(replace(INVITE, expires_s=NOW_S + 1))
    assert [still_holds(inside, ending, NOW_S + late) for late in (0, 1)] == [None, EXPIRED]


def test_credentials_do_not_show_the_key() -> None:
    assert repr(KEY) not in repr(credentials()) and KEY.hex() not in repr(credentials())


# -- those who guess ----------------------------------------------------------------------------------


def test_answers_to_failures_of_one_address_come_later_and_later() -> None:
    attempts = Attempts()
    delays = [attempts.failed("a", now) for now in range(12)]
    assert delays[: limits.FAILED_ATTEMPTS_FREE] == [0.0] * limits.FAILED_ATTEMPTS_FREE
    rest = delays[limits.FAILED_ATTEMPTS_FREE :]
    assert rest == sorted(rest) and rest[0] > 0 and rest[-1] == limits.FAILED_ATTEMPT_MAX_S
    assert attempts.failed("b", 12) == 0.0
    assert attempts.failed("a", 12 + limits.FAILED_ATTEMPTS_FORGOTTEN_S) == 0.0


def test_of_many_addresses_the_one_that_failed_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "FAILED_ATTEMPTS_KEPT_MAX", 3)
    attempts = Attempts()
    for _ in range(10):
        attempts.failed("old", 0)
    for name in "abc":
        attempts.failed(name, 1)
    assert attempts.failed("old", 2) == 0.0


# -- web pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("127.0.0.1:4747", True),
        ("localhost", True),
        ("LOCALHOST.:80", True),
        ("[::1]:4747", True),
        ("192.168.1.7", True),
        ("hub.test", True),
        ("evil.example:4747", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example/127.0.0.1", False),
        ("[::1", False),
        ("", False),
        ("localhost:99999999", False),
    ],
)
def test_a_hub_without_tokens_is_called_by_an_address_or_its_own_name(host: str, fine: bool) -> None:
    policy = WebPolicy(frozenset({"localhost", "hub.test"}))
    assert (policy.problem([host], []) is None) is fine


def test_a_request_names_one_host_and_at_most_one_page() -> None:
    policy = WebPolicy(origins=frozenset({"https://a.example"}))
    assert policy.problem([], []) and policy.problem(["a", "b"], [])
    assert policy.problem(["a"], ["https://a.example"] * 2)
    assert policy.problem(["a"], ["https://a.example"]) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://notes.example",
        "https://notes.example:444",
        "https://notes.example.evil",
        "http://127.0.0.1:4747",
        "http://localhost",
        "",
    ],
)
def test_a_page_that_was_not_allowed_is_refused(origin: str) -> None:
    policy = WebPolicy(frozenset({"localhost"}), frozenset({"https://notes.example"}))
    assert policy.problem(["127.0.0.1"], [origin]) is not None


def test_an_origin_is_written_as_browsers_write_it() -> None:
    assert check_origin("https://Notes.Example:443/") == "https://notes.example"
    assert check_origin("http://localhost:5173") == "http://localhost:5173"
    assert check_origin("http://[::1]:80") == "http://[::1]"
    for wrong in ("notes.example", "ws://a", "https://a/b", "https://u@a", "null", "*", "https://a:b"):
        with pytest.raises(ValueError):
            check_origin(wrong)


# -- the engine ---------------------------------------------------------------------------------------


def bench_of(answer: Granted | Denied) -> Bench:
    bench = Bench()
    bench.engine = HubEngine("e1", Random(1), admit=lambda asking: answer)
    return bench


def reader_and_writer() -> tuple[Bench, Replica, Replica]:
    bench = Bench()

    def admit(asking: Asking) -> Granted:
        return Granted(read_only=True, name="Reader", invite="r") if asking.token else Granted()

    bench.engine = HubEngine("e1", Random(1), admit=admit)
    reader = bench.connect()
    reader.text(Hello(room="notes", replica="r", name="Somebody Else", token="t"))
    bench.settle()
    return bench, reader, bench.join(name="writer")


def test_a_reader_follows_and_is_told_that_it_reads_only() -> None:
    bench, reader, writer = reader_and_writer()
    assert reader.welcome.read_only and not writer.welcome.read_only
    update = lone_update("hello")
    writer.push((NOTES, update))
    bench.settle()
    assert reader.updates == [update]


@pytest.mark.parametrize("document", [NOTES, TREE])
def test_what_a_reader_pushes_is_refused_and_reaches_nobody(document: str) -> None:
    bench, reader, writer = reader_and_writer()
    reader.push((TREE if document == TREE else NOTES, lone_update("mine")))
    bench.settle()
    assert reader.refused == Refused(code="denied", message=READ_ONLY)
    assert reader.closed is not None and reader.closed.code == 1008
    assert writer.updates == [] and bench.memory.read_document("notes", NOTES, None) is not None
    assert list(bench.memory.read_document("notes", NOTES, None)) == []
    writer.push((NOTES, lone_update("theirs")))
    bench.settle()
    assert writer.all(Ack)


def test_an_invite_names_its_bearer_whatever_they_say() -> None:
    bench, reader, writer = reader_and_writer()
    reader.text(Presence(name="writer", editing=("a.txt",)))
    bench.tick()
    assert {presence.name for presence in writer.all(Presence)} == {"Reader"}


def test_a_member_whose_right_has_ended_is_told_and_leaves_no_trace() -> None:
    bench, reader, writer = reader_and_writer()
    admitted, _ = bench.admitted
    bench.do(Expelled(admitted.member, REVOKED))
    bench.settle()
    assert reader.refused == Refused(code="denied", message=REVOKED)
    writer.push((NOTES, lone_update("secret")))
    bench.settle()
    assert reader.updates == []
    bench.do(Expelled(admitted.member, REVOKED))
    assert bench.engine.counts.refusals == {"denied": 1}


def test_a_no_that_is_held_back_comes_in_time_and_nothing_is_done_meanwhile() -> None:
    bench = bench_of(Denied(NOT_VALID, after_s=3.0))
    guest = bench.connect().hello("notes")
    bench.settle()
    assert guest.got == [] and bench.engine.deadline == bench.now + 3.0
    guest.hello("notes")
    bench.tick(2.9)
    assert guest.got == [] and bench.answered == []
    bench.tick(0.2)
    assert guest.refused.message == NOT_VALID
    assert bench.engine.deadline is None


def test_those_who_wait_for_a_no_count_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_BEFORE_HELLO_MAX", 1)
    bench = bench_of(Denied(NOT_VALID, after_s=3.0))
    bench.connect().hello("notes")
    late = bench.connect()
    bench.settle()
    assert late.refused.code == "limit"


def test_a_stranger_cannot_tell_a_room_that_exists_from_one_that_does_not() -> None:
    bench = Bench()
    bench.join("secret").push((NOTES, lone_update("x")))
    bench.settle()
    bench.engine._admit = lambda asking: decide(asking, Demand.EVERYBODY, credentials(), NOW_S)
    seen = []
    for room in ("secret", "nothing-there"):
        bench.answered.clear()
        for token in (None, "guess", TOKEN):
            stranger = bench.connect()
            stranger.text(Hello(room=room, replica="r", token=token))
            bench.settle()
            assert not stranger.all(CaughtUp) and bench.answered == []
            seen.append((room, stranger.got))
    assert [got for room, got in seen if room == "secret"] == [got for room, got in seen if room != "secret"]
