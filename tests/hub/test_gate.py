"""The gate of a running hub: who guesses waits, who is inside leaves in time, and who is on this machine."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.datastructures import Headers

from crdtsync.core.hub.admission import HERE, Asking, Denied, Granted, Peer
from crdtsync.core.values import limits
from crdtsync.runtime.hub_gate import Gate, peer_of
from tests.waiting import DEADLINE_S


def websocket(address: object, **headers: str) -> Any:
    request = SimpleNamespace(
        headers=Headers({name.replace("_", "-"): text for name, text in headers.items()})
    )
    return cast(Any, SimpleNamespace(remote_address=address, request=request))


@pytest.mark.parametrize(
    ("address", "headers", "peer"),
    [
        (("127.0.0.1", 1), {}, HERE),
        (("127.8.8.8", 1), {}, Peer("127.8.8.8", local=True)),
        (("::1", 1, 0, 0), {}, Peer("::1", local=True)),
        (("::ffff:127.0.0.1", 1, 0, 0), {}, HERE),
        (("127.0.0.1", 1), {"X_Forwarded_For": "127.0.0.1"}, Peer("127.0.0.1", local=False)),
        (("127.0.0.1", 1), {"Forwarded": "for=_x"}, Peer("127.0.0.1", local=False)),
        (("203.0.113.7", 1), {}, Peer("203.0.113.7", local=False)),
        (("::ffff:203.0.113.7", 1, 0, 0), {}, Peer("203.0.113.7", local=False)),
        (("2001:db8::1:2", 1, 0, 0), {}, Peer("2001:db8::/64", local=False)),
        (("fe80::1%eth0", 1, 0, 2), {}, Peer("fe80::/64", local=False)),
        (None, {}, Peer("", local=False)),
        (("", 0), {}, Peer("", local=False)),
    ],
)
def test_who_is_at_the_other_end(address: object, headers: dict[str, str], peer: Peer) -> None:
    assert peer_of(websocket(address, **headers)) == peer


def test_only_failures_of_ones_own_address_slow_ones_next() -> None:
    gate = Gate(lambda asking: Granted() if asking.token == "right" else Denied("no"))
    far = Peer("203.0.113.9", local=False)
    answers = [
        gate.admit(Asking("notes", "wrong", None, far)) for _ in range(limits.FAILED_ATTEMPTS_FREE + 2)
    ]
    assert answers[0] == Denied("no", 0.0)
    assert isinstance(answers[-1], Denied) and answers[-1].after_s > 0
    assert gate.admit(Asking("notes", "right", None, far)) == Granted()
    assert gate.admit(Asking("notes", "wrong", None, HERE)) == Denied("no", 0.0)


async def test_who_is_inside_is_let_out_when_the_time_has_come() -> None:
    now_s = time.time()

    def problem(granted: Granted) -> str | None:
        return "over" if granted.until_s is not None and granted.until_s <= time.time() else None

    gate = Gate(problem=problem)
    ended: dict[str, asyncio.Future[str]] = {}
    for name, until_s in (
        ("soon", now_s + 0.05),
        ("later", now_s + 5000),
        ("never", None),
        ("left", now_s + 0.05),
    ):
        ended[name] = asyncio.get_running_loop().create_future()
        leave = gate.enter(websocket(None), Granted(invite=name, until_s=until_s), ended[name].set_result)
        if name == "left":
            leave()
    async with asyncio.timeout(DEADLINE_S):
        assert await ended["soon"] == "over"
    assert not any(ended[name].done() for name in ("later", "never", "left"))
    gate.close()


async def test_one_who_leaves_while_others_are_let_out_is_not_told_twice() -> None:
    gate = Gate(problem=lambda granted: "over")
    told: list[str] = []
    leave_second = gate.enter(websocket(None), Granted(), lambda reason: None)

    def first(reason: str) -> None:
        told.append("first")
        leave_third()

    gate.enter(websocket(None), Granted(), first)
    leave_third = gate.enter(websocket(None), Granted(), lambda reason: told.append("third"))
    leave_second()
    assert gate.look_again() == 1
    assert told == ["first"]
