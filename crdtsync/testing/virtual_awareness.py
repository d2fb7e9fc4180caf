"""Who a page shows, itself among them: their states and clocks, as a Yjs client keeps them.

The rules are those of ``Awareness`` in https://github.com/yjs/y-protocols, whose surprises are kept: a state
with the clock 0 is no news to anyone, and what was heard of someone is remembered when they are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.testing.clock import Clock

RENEW_S: Final = 15.0
OUTDATED_S: Final = 30.0


class VirtualAwareness:
    """``own`` is the client id of the page itself, which begins with ``state``; None: nothing to tell."""

    def __init__(self, clock: Clock, own: int, state: str | None) -> None:
        self._clock = clock
        self._own = own
        self._states: dict[int, str] = {} if state is None else {own: state}
        self._met: dict[int, tuple[int, float]] = {own: (0, clock.now_s)}
        """The clock of everyone who was ever heard of, and when that was."""

    @property
    def own_state(self) -> str | None:
        return self._states.get(self._own)

    @property
    def others(self) -> dict[int, str]:
        return {client: state for client, state in self._states.items() if client != self._own}

    @property
    def clients(self) -> list[int]:
        return [*self._states]

    def told(self, clients: Iterable[int]) -> tuple[ClientState, ...]:
        """What is known of these, to be said to others."""
        return tuple(
            ClientState(client, self._met[client][0], self._states.get(client, NOBODY)) for client in clients
        )

    def announce(self, state: str) -> None:
        """The page itself is somewhere else, or is still there, or goes."""
        if state == NOBODY:
            self._states.pop(self._own, None)
        else:
            self._states[self._own] = state
        self._met[self._own] = self._met[self._own][0] + 1, self._clock.now_s

    def take(self, states: Iterable[ClientState]) -> list[int]:
        """Returns of whom this is news: who came, who is still there, who went."""
        news: tuple[list[int], list[int], list[int]] = [], [], []
        for state in states:
            if (kind := self._take(state)) is not None:
                news[kind].append(state.client)
        return [client for each in news for client in each]

    def _take(self, state: ClientState) -> int | None:
        client, clock = state.client, state.clock
        is_known = client in self._met
        known = self._met[client][0] if is_known else 0
        goes = state.state == NOBODY
        if clock < known or (clock == known and not (goes and client in self._states)):
            return None
        if not goes:
            self._states[client] = state.state
        elif client == self._own and client in self._states:
            clock += 1  # nobody else tells that it is gone
        else:
            self._states.pop(client, None)
        self._met[client] = clock, self._clock.now_s
        if goes:
            return 2 if is_known else None
        return 1 if is_known else 0

    def is_due(self) -> bool:
        """Whether the page is to say that it is still there, before the others forget it."""
        return self._own in self._states and self._clock.now_s - self._met[self._own][1] >= RENEW_S

    def drop_outdated(self) -> list[int]:
        """Forget of whom nothing was heard for long; returns who they are."""
        silent_since_s = self._clock.now_s - OUTDATED_S
        outdated = [client for client in self.others if self._met[client][1] <= silent_since_s]
        for client in outdated:
            del self._states[client]
        return outdated

    def drop_others(self) -> None:
        """Nothing is heard any more."""
        for client in self.others:
            del self._states[client]
