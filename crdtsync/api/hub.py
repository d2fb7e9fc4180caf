"""A hub inside one's own program: ``crdtsync.Hub``."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Self

from crdtsync.adapters.access_store import AccessStore
from crdtsync.adapters.hub_link import hub_address
from crdtsync.core.hub.invites import Invite, new_identity, token_of
from crdtsync.core.values.ids import check_room_name, person_name
from crdtsync.core.values.links import Link
from crdtsync.errors import Closed, CrdtsyncError, StoreError
from crdtsync.runtime.hub import HubServer
from crdtsync.runtime.hub_access import AccessOptions

_MEMORY = "/dev/shm"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invite that was made: ``link`` is what ``connect``, ``join`` and the command line take in place of
    the hub's address; ``id`` ends it. Whoever has the link can enter: treat it as a password."""

    id: str
    room: str
    link: str
    token: str


class Hub:
    """A hub for any number of rooms: ``async with crdtsync.Hub() as hub: print(hub.url)``.

    ``host``, ``port``: where to listen; port 0 takes a free one. ``data``: the folder that keeps the rooms;
    None: a temporary one, in memory where the system has that, which is removed at the end.

    Who may enter: on 127.0.0.1 every program of this machine. At any other address everyone is asked for an
    invite (``invite``), unless ``open`` is True. ``closed``: invites are asked for on this machine, too.
    ``origins``: addresses of web pages that may connect. ``tls``: the PEM files of certificate chain and key.

    Entering raises CrdtsyncError (nobody can listen there, or anybody could enter), StoreInUse, StoreError.
    Leaving stores what was taken in, tells everyone and closes every connection.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        data: str | os.PathLike[str] | None = None,
        *,
        open: bool = False,
        closed: bool = False,
        origins: Iterable[str] = (),
        tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._given = None if data is None else Path(data)
        self._data: Path | None = self._given
        self._options = AccessOptions(
            open=open,
            closed=closed,
            origins=frozenset(origins),
            tls=None if tls is None else (Path(tls[0]), Path(tls[1])),
        )
        self._server: HubServer | None = None

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise CrdtsyncError("This hub runs already; make another one")
        try:
            data = self._folder()
            if self._options.closed or self._host not in ("127.0.0.1", "::1", "localhost"):
                await asyncio.to_thread(AccessStore(data).prepare)  # else nobody could ever enter
            self._server = HubServer(self._host, self._port, data, access=self._options)
            await self._server.__aenter__()
        except BaseException:
            self._server = None
            await self._clean()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        try:
            if server is not None:
                await server.__aexit__(kind, error, trace)
        finally:
            await self._clean()

    @property
    def url(self) -> str:
        """Where it listens: ``ws://HOST:PORT``, or ``wss://`` with ``tls``. Raises Closed unless it runs."""
        return self._running().url

    async def invite(
        self,
        room: str,
        *,
        read_only: bool = False,
        name: str = "",
        expires_s: float | None = None,
        address: str | None = None,
    ) -> Invitation:
        """Make an invite to a room, kept in the hub's folder.

        ``read_only``: whoever uses it can change nothing. ``name``: who it is for, which is what the others
        see then, whatever that one says. ``expires_s``: seconds from now until it ends; None: it does not.
        ``address``: by which the link shall name the hub, if others reach it by another than ``url``.

        Raises InvalidName, StoreError, Closed.
        """
        server = self._running()
        assert self._data is not None
        now_s = int(time.time())
        invite = Invite(
            new_identity(SystemRandom()),
            check_room_name(room),
            read_only,
            person_name(name) if name else "",
            now_s,
            None if expires_s is None else now_s + max(1, int(expires_s)),
        )
        key = await asyncio.to_thread(AccessStore(self._data).add, invite)
        server.reload_access()
        token = token_of(invite, key)
        hub = hub_address(address) if address is not None else server.url
        return Invitation(invite.identity, room, str(Link(hub, room, token)), token)

    async def revoke(self, id: str) -> int:
        """End an invite at once, for those inside by it, too; returns how many connections that ended.

        Raises StoreError, Closed.
        """
        server = self._running()
        assert self._data is not None
        await asyncio.to_thread(AccessStore(self._data).revoke, [id], int(time.time()))
        return server.reload_access()

    async def wait(self) -> None:
        """Return when the hub has ended; raises StoreError when its store can no longer be used."""
        await self._running().wait()

    def _running(self) -> HubServer:
        if self._server is None:
            raise Closed("The hub does not run")
        return self._server

    def _folder(self) -> Path:
        if self._given is None:
            place = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
            try:
                self._data = Path(tempfile.mkdtemp(prefix="crdtsync-hub-", dir=place))
            except OSError as error:
                raise StoreError(f"No temporary folder can be made: {error.strerror}") from error
        assert self._data is not None
        return self._data

    async def _clean(self) -> None:
        if self._given is None and self._data is not None:
            await asyncio.to_thread(shutil.rmtree, self._data, ignore_errors=True)
            self._data = None
