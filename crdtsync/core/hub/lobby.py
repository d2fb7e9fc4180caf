"""Connections that are no members yet: some have said nothing so far, some wait to hear that they may not."""

from __future__ import annotations

from collections.abc import Iterator

from crdtsync.core.hub.admission import Denied, Peer
from crdtsync.core.hub.shared import Refusal
from crdtsync.core.values import limits


class Lobby:
    """Each connection may be here for a bounded time only, and only so many of them."""

    def __init__(self) -> None:
        self._silent: dict[int, tuple[float, Peer]] = {}
        """With the time until which they may stay so; the first is due first."""
        self._denied: dict[int, tuple[float, Denied]] = {}
        """With the time at which they are told."""

    @property
    def members(self) -> list[int]:
        return [*self._silent, *self._denied]

    @property
    def full(self) -> bool:
        return len(self._silent) + len(self._denied) >= limits.CONNECTIONS_BEFORE_HELLO_MAX

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something to say."""
        times = [due for due, _ in self._denied.values()]
        if self._silent:
            times.append(next(iter(self._silent.values()))[0])
        return min(times, default=None)

    def arrive(self, member: int, peer: Peer, now: float) -> None:
        self._silent[member] = (now + limits.HELLO_TIMEOUT_S, peer)

    def speak(self, member: int) -> Peer | None:
        """It says its first word; None: it has done so before, or is gone."""
        found = self._silent.pop(member, None)
        return None if found is None else found[1]

    def deny(self, member: int, denied: Denied, now: float) -> None:
        self._denied[member] = (now + denied.after_s, denied)

    def leave(self, member: int) -> None:
        self._silent.pop(member, None)
        self._denied.pop(member, None)

    def due(self, now: float) -> Iterator[tuple[int, Refusal]]:
        """Who is to be refused now."""
        for member, (at, denied) in list(self._denied.items()):
            if at <= now:
                yield member, Refusal("denied", denied.reason)
        for member, (until, _) in list(self._silent.items()):
            if until <= now:
                yield (
                    member,
                    Refusal("protocol", f"No hello came within {limits.HELLO_TIMEOUT_S:g} seconds."),
                )
