"""Bounded streams from a room to a program that may be slow: nothing waits for its readers.

A stream hears from the moment it is made. What to do with more than fits is each stream's own matter.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from crdtsync.api.values import Change, Event, Origin
from crdtsync.core.text.transform import compose
from crdtsync.core.values import limits

T = TypeVar("T")


class Stream(AsyncIterator[T], Generic[T]):
    """Ends when it is closed, or when what it tells of is; raises what ended that, if it was an error."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            item = self._take()
            if item is not None:
                return item
            if self._ended:
                if self._error is not None:
                    raise type(self._error)(str(self._error))
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    def end(self, error: BaseException | None = None) -> None:
        """What is there can still be taken."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()

    def close(self) -> None:
        """Hear no more."""
        self.end()

    @abstractmethod
    def _take(self) -> T | None:
        """The next item, if there is one."""


class Changes(Stream[Change]):
    """The changes of a text, one by one, as long as few wait; the others are put together with the last."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Change] = deque()

    def put(self, change: Change) -> None:
        if self._ended:
            return
        if len(self._queue) >= limits.CHANGES_QUEUED_MAX:
            last = self._queue.pop()
            origin = last.origin if last.origin == change.origin else Origin("several")
            change = Change(compose(last.edits, change.edits), origin)
        self._queue.append(change)
        self._wake.set()

    def _take(self) -> Change | None:
        return self._queue.popleft() if self._queue else None


class Events(Stream[Event]):
    """What happens, the latest few; the oldest are left out for a reader who is slow."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Event] = deque(maxlen=limits.EVENTS_QUEUED_MAX)

    def put(self, event: Event) -> None:
        if not self._ended:
            self._queue.append(event)
            self._wake.set()

    def _take(self) -> Event | None:
        return self._queue.popleft() if self._queue else None
