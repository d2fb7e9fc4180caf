"""A joined folder, as a program uses it: ``crdtsync.join``."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from crdtsync.adapters import saved_token
from crdtsync.adapters.login import own_name
from crdtsync.api.address import address_of
from crdtsync.api.folder import FolderRoom
from crdtsync.api.listening import listen
from crdtsync.core.replica import events as ev
from crdtsync.core.values.ids import printable
from crdtsync.errors import Closed, CrdtsyncError
from crdtsync.runtime.joining import JoinOptions
from crdtsync.runtime.replica import Replica


def join(
    hub: str,
    room: str | None = None,
    *,
    directory: str | os.PathLike[str],
    token: str | None = None,
    name: str | None = None,
    ca: str | os.PathLike[str] | None = None,
    read_only: bool = False,
    differing: Literal["both", "hub", "mine", "newest"] = "both",
) -> JoinedRoom:
    """A room with a folder: ``async with join(hub, "notes", directory="notes") as room``.

    What ``crdtsync join`` does, in your own program: every save in the folder reaches the others, and theirs
    are written to it; what goes is in the trash; the folder may be used offline; commands (``crdtsync
    status``, ``flush``, ...) and editors (``crdtsync client``) work on it. Entering returns once the folder
    is ours, connected or not; ``settled`` waits until it is the same as the room. Leaving ends cleanly, and
    keeps what was not sent yet in the folder for the next join.

    ``directory`` is made if it does not exist. ``differing``: at a first join of a folder that is not empty,
    what becomes of files that differ: keep both, the hub's, mine, or the newest. The others are as for
    ``connect``; ``token`` is remembered in the folder.

    Raises InvalidName for an unusable room or address. Entering raises FolderError,
    AlreadyJoined (to another room, or by another process: see ``attach``) and StoreError.
    """
    address = address_of(hub, room, token)
    folder = Path(directory).expanduser()
    options = JoinOptions(
        room=address.room,
        directory=folder,
        hub=address.hub,
        name=own_name(name),
        token=address.token or saved_token.load(folder, address.hub),
        ca=None if ca is None else Path(ca),
        differing=ev.Differing(differing),
        read_only=read_only,
    )
    return JoinedRoom(options)


class JoinedRoom(FolderRoom):
    """See ``join``."""

    def __init__(self, options: JoinOptions) -> None:
        super().__init__(Replica(options, self))
        self._task: asyncio.Task[None] | None = None
        self._opened_event = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="joined folder")
        try:
            await self._opened_event.wait()
        except BaseException:
            self._replica.stop()
            await asyncio.gather(self._task, return_exceptions=True)
            raise
        if self._end is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._replica.stop()
        await asyncio.shield(self._task)
        if error is None and not isinstance(self._end, Closed):
            self._check()

    async def _run(self) -> None:
        """The whole life of the replica; whatever ends it is remembered."""

        async def opened() -> None:
            await listen(self._replica, extras)
            self._begin()
            self._opened_event.set()

        end: Exception = Closed(f"{printable(str(self.directory))} has been closed")
        async with AsyncExitStack() as extras:
            try:
                await self._replica.run(opened)
            except Exception as error:
                end = error if isinstance(error, CrdtsyncError) else _unforeseen(error)
            finally:
                self._ended(end)
                self._opened_event.set()


def _unforeseen(error: Exception) -> CrdtsyncError:
    found = CrdtsyncError(f"The folder ended by an error that crdtsync does not know: {error!r}")
    found.__cause__ = error
    return found
