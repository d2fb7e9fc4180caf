"""Who is at one document: the awareness states of its clients, and which connection brought each.

The rules are those of ``applyAwarenessUpdate`` in https://github.com/yjs/y-protocols; clients repeat what
they hear, so a state counts for whoever brought it first. How states travel is left to others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from crdtsync.core.values import limits
from crdtsync.core.wire.awareness import NOBODY, ClientState

OURS: Final = 1 << 52
"""Client ids from here on are of the hub's making: folder replicas, which no client may speak for."""
_GONE_MAX: Final = 1024
"""Clients that left, remembered so that a late repetition does not bring them back."""


class Gathering:
    def __init__(self) -> None:
        self._states: dict[int, ClientState] = {}
        self._by: dict[int, int] = {}
        """The channel that each client came by."""
        self._gone: OrderedDict[int, int] = OrderedDict()
        """The clock with which each client left."""
        self._first: dict[int, int | None] = {}
        """Whom each channel that spoke told of alone first, and brought; None: nobody yet."""
        self._answered: set[int] = set()
        """Channels that have answered their greeting, so that what they say may be what they have heard."""

    def all(self) -> tuple[ClientState, ...]:
        return tuple(self._states.values())

    def of(self, channel: int) -> tuple[ClientState, ...]:
        """The states that came by this channel."""
        return tuple(self._states[client] for client, by in self._by.items() if by == channel)

    def take(self, channel: int, states: Iterable[ClientState]) -> tuple[ClientState, ...]:
        """Take what a channel tells; returns what is news."""
        told = [state for state in states if state.client < OURS]
        alone = told[0].client if len(told) == 1 else None
        if told and channel not in self._first:
            self._first[channel] = None
            self._recognise(channel, alone)
        news = tuple(state for state in told if self._is_news(channel, state))
        if alone is not None and self._first[channel] is None and self._by.get(alone) == channel:
            self._first[channel] = alone
        return news

    def answered(self, channel: int) -> None:
        """The channel has answered its greeting, which told it who is here."""
        self._answered.add(channel)

    def leave(self, channel: int) -> tuple[ClientState, ...]:
        """The channel is gone, and whom it brought; returns what to tell the others.

        With the clocks that they have: who comes back is news again with the next one.
        """
        self._first.pop(channel, None)
        self._answered.discard(channel)
        left = self.of(channel)
        for state in left:
            self._forget(state.client, state.clock)
        return tuple(replace(state, state=NOBODY) for state in left)

    def _recognise(self, channel: int, client: int | None) -> None:
        """Whoever comes says first who it is, or repeats whom it has just heard of, if it is nobody itself.

        It may be known: from another tab of the same browser, or by a connection that is dead unnoticed.
        """
        if client is None or client not in self._states:
            return
        if channel not in self._answered or self._first[self._by[client]] != client:
            self._by[client] = channel

    def _is_news(self, channel: int, state: ClientState) -> bool:
        known = self._states.get(state.client)
        clock = known.clock if known is not None else self._gone.get(state.client, -1)
        if state.state == NOBODY:
            if known is None or state.clock < clock:
                return False
            self._forget(state.client, state.clock)
            return True
        if state.clock <= clock:
            return False
        if known is None:
            here = sum(by == channel for by in self._by.values())
            if here >= limits.AWARENESS_CLIENTS_PER_CONNECTION_MAX:
                return False
            self._by[state.client] = channel
            self._gone.pop(state.client, None)
        self._states[state.client] = state
        return True

    def _forget(self, client: int, clock: int) -> None:
        del self._states[client]
        del self._by[client]
        self._gone[client] = clock
        if len(self._gone) > _GONE_MAX:
            self._gone.popitem(last=False)
