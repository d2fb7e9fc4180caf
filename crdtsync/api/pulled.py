"""A stream whose items come from another process: asked for when there is none left, so nothing piles up."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from crdtsync.api import program_messages as messages
from crdtsync.api.program_link import ProgramLink
from crdtsync.api.streams import Stream
from crdtsync.errors import Closed, CrdtsyncError

T = TypeVar("T")


class PulledStream(Stream[T], Generic[T]):
    """``method`` begins it on the other side, under ``number``; ``kind`` is what a list of its items is."""

    def __init__(self, link: ProgramLink, method: str, kind: TypeAdapter[list[T]], number: int) -> None:
        super().__init__()
        self._link = link
        self._kind = kind
        self._number = number
        self._queue: deque[T] = deque()
        self._asking: asyncio.Task[None] | None = None
        link.tell(method, {"stream": number})
        self._unwatch = weakref.finalize(self, link.tell, "unwatch", {"stream": number})

    def end(self, error: BaseException | None = None) -> None:
        super().end(error)
        self._unwatch()

    def _take(self) -> T | None:
        if self._queue:
            return self._queue.popleft()
        if not self._ended and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return None

    async def _ask(self) -> None:
        try:
            told = messages.value(self._kind, await self._link.ask("next", {"stream": self._number}))
        except Closed:
            self.end()
        except CrdtsyncError as error:
            self.end(error)
        else:
            self._queue.extend(told)
            if not told:
                self.end()
        finally:
            self._asking = None
            self._wake.set()
