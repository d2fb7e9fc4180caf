"""Presence across the doors: folder replicas as awareness states, Yjs clients as presences of replicas.

Both are words of who is here and what they edit; nothing of it is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import assert_never

from crdtsync.core.hub.doors.awareness import OURS
from crdtsync.core.values import limits
from crdtsync.core.values.ids import Randomness, printable
from crdtsync.core.wire.awareness import NOBODY, ClientState, read_state
from crdtsync.core.wire.control import Left, Presence

SOMEONE = "someone"
"""A client that does not say who it is."""
_COLOURS = ("#30bced", "#6eeb83", "#ffbc42", "#ee6352", "#9ac2c9", "#8acb88", "#1be7ff", "#d17b88")
_MEMBER_BITS = 24


class Replicas:
    """The folder replicas of a room, as clients of an awareness."""

    def __init__(self, rng: Randomness) -> None:
        self._base = OURS | rng.getrandbits(24) << _MEMBER_BITS
        """New for each room and start, since clients remember for ever how far each clock had come."""
        self._here: dict[int, Presence] = {}
        self._clock = 0

    def states(self) -> tuple[ClientState, ...]:
        """Of all, with clocks that nobody has seen: for those who come, and to renew what they know."""
        self._clock += 1
        shown = list(self._here.values())[: limits.AWARENESS_REPLICAS_MAX]
        return tuple(self._state(presence) for presence in shown)

    def take(self, news: Presence | Left) -> ClientState | None:
        """Someone came, moved or left; returns what to tell, if anything."""
        self._clock += 1
        match news:
            case Left(member=member):
                known = self._here.pop(member, None)
                return None if known is None else ClientState(self._client(member), self._clock, NOBODY)
            case Presence(member=member):
                self._here[member] = news
                over = len(self._here) > limits.AWARENESS_REPLICAS_MAX
                return None if over else self._state(news)
            case _:
                assert_never(news)

    def _state(self, presence: Presence) -> ClientState:
        name = printable(presence.name, limits.PERSON_NAME_MAX_CHARS) or SOMEONE
        colour = _COLOURS[hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] % len(_COLOURS)]
        state = {
            "user": {"name": name, "color": colour, "colorLight": colour + "33"},
            "editing": list(presence.editing),
        }
        return ClientState(self._client(presence.member), self._clock, json.dumps(state, ensure_ascii=False))

    def _client(self, member: int) -> int:
        return self._base | member & (1 << _MEMBER_BITS) - 1


def name_in(states: Iterable[ClientState]) -> str:
    """The person's name in awareness states, where editors write it: ``{"user": {"name": ...}}``; or ""."""
    for state in states:
        value = read_state(state.state)
        user = value.get("user") if isinstance(value, dict) else None
        name = user.get("name") if isinstance(user, dict) else None
        if isinstance(name, str) and name.strip():
            return printable(name.strip(), limits.PERSON_NAME_MAX_CHARS)
    return ""
