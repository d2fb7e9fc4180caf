"""What a running replica knows, for a program in its process: what stands at a path, and when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crdtsync.core.replica.obstacles import is_leaving
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.view import Placement
from crdtsync.errors import Closed
from crdtsync.runtime.replica import Replica


class FolderView:
    def __init__(self, replica: Replica, check: Callable[[], None]) -> None:
        """``check`` raises what ended the room."""
        self._replica = replica
        self.check = check
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def state(self) -> ReplicaState:
        """Raises Closed before the folder is joined."""
        engine = self._replica.engine
        if engine is None:
            raise Closed("The folder is not joined: use it inside of ``async with``")
        return engine.state

    async def ready(self, place: str | None = None) -> ReplicaState:
        """Once the room is here, whole, and what it has no longer at ``place`` has left that on disk.

        Raises what ended the room.
        """
        self.check()
        state = self.state
        while not state.running or state.catching_up or (place is not None and is_leaving(state, place)):
            await self.something_changed()
        return state

    def at(self, path: str) -> Placement | None:
        """What the room has at that path on this disk."""
        entry = self.state.view.at(path)
        return None if entry is None else self.state.view.get(entry)

    async def something_changed(self, other: asyncio.Future[None] | None = None) -> None:
        """Wait for the replica to have done something, or for ``other``. Raises what ended the room."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            futures = {future} if other is None else {future, other}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(future)
            future.cancel()
        self.check()

    def changed(self) -> None:
        """The replica has done something."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
