"""A hub as a library: one port, one data folder, any number of rooms.

    async with HubServer("127.0.0.1", 0, "data") as hub:
        print(hub.url)

Puts store, engine and sockets together and keeps them running; each has its own module.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, serve

from crdtsync.adapters.control_socket import ControlServer
from crdtsync.adapters.hub_database import put_aside, sound_after_all
from crdtsync.adapters.hub_lock import HubLock
from crdtsync.adapters.hub_store import SqliteHubStore
from crdtsync.core.hub.admission import Demand
from crdtsync.core.hub.crowd import Crowd
from crdtsync.core.hub.doors.address import door_at
from crdtsync.core.hub.effects import Notice
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import HocuspocusDoor, YjsDoor
from crdtsync.core.hub.shared import Counts
from crdtsync.core.hub.store import StoreCorrupt, StoreFailed
from crdtsync.core.values import limits
from crdtsync.errors import CrdtsyncError, StoreError
from crdtsync.runtime.cannot_listen import cannot_listen
from crdtsync.runtime.http import Health, HubHttp
from crdtsync.runtime.hub_access import AccessOptions, HubAccess
from crdtsync.runtime.hub_blobs import HubBlobs
from crdtsync.runtime.hub_entrance import Entrance
from crdtsync.runtime.hub_gate import Gate
from crdtsync.runtime.hub_loop import RESTARTING, HubLoop
from crdtsync.runtime.hub_socket import HubSocket
from crdtsync.runtime.hub_work import HubWork
from crdtsync.runtime.idle import shrink_when_idle
from crdtsync.runtime.readings import Blobs, Reading

ROOM_PATH: Final = "/v1/room"
BLOBS_PATH: Final = "/v1/blobs"
STOP_TIMEOUT_S: Final = 10.0
"""For the last commit, and again for the goodbyes."""
CLOSE_TIMEOUT_S: Final = 3.0
STORE_RETRY_S: Final = 1.0
"""Before a store that cannot be read is tried again."""
QUEUED_FRAMES_MAX: Final = 8
"""Frames of one member that websockets keeps before it stops reading from the network."""

logger = logging.getLogger(__name__)


def _log(notice: Notice) -> None:
    where = f"room {notice.room}: " if notice.room else ""
    logger.warning("%s: %s%s", notice.kind, where, notice.message)


class HubServer:
    """Serves while it is entered as a context; ``wait`` returns when it has been stopped, or raises."""

    def __init__(
        self,
        host: str,
        port: int,
        data: str | Path,
        *,
        access: AccessOptions | None = None,
        gate: Gate | None = None,
        noticed: Callable[[Notice], None] = _log,
    ) -> None:
        """``port`` 0 takes a free one. ``gate``: one that decides in place of the hub's own invites."""
        self.url = ""
        self._host = host
        self._port = port
        self._data = Path(data)
        self._options = access or AccessOptions()
        self._own_gate = gate
        self._access: HubAccess
        self._gate: Gate
        self._noticed = noticed
        self.counts = Counts()
        """What it has done since it started."""
        self._started_s = time.monotonic()
        self._trouble = ""
        self._loop: HubLoop | None = None
        self._store: SqliteHubStore
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises StoreInUse, StoreError, or CrdtsyncError when nobody can listen at that address."""
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="hub")
        await asyncio.wait({self._task, self._ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await self.wait()

    @property
    def demand(self) -> Demand:
        """Of whom it asks for an invite, once it runs."""
        return self._access.demand

    def stop(self) -> None:
        """Stop taking members, store what was taken, tell everyone, and end."""
        self._stop.set()

    async def wait(self) -> None:
        """Return once the hub has ended. Raises StoreError when its store can no longer be used."""
        if self._task is not None:
            await asyncio.shield(self._task)

    # -- running --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise StoreError(f"The hub's folder {self._data} cannot be made: that is a file.") from None
        except OSError as error:
            raise StoreError(f"The hub's folder {self._data} cannot be made: {error.strerror}.") from error
        with HubLock(self._data):
            control = ControlServer(self._data, {"access": self._reload_access, "address": self._address})
            await control.start()  # before the invites are read: who changes them now is heard afterwards
            try:
                self._access = HubAccess(
                    self._host,
                    self._data,
                    self._options,
                    lambda trouble: self._noticed(Notice("tls", "", trouble)),
                )
                self._gate = self._own_gate or self._access.gate
                await self._serve_chunks()
            finally:
                await control.close()

    async def _serve_chunks(self) -> None:
        try:
            blobs = HubBlobs(self._data / "chunks", self._gate, self.counts)
        except OSError as error:
            raise StoreError(f"The hub's chunks cannot be opened: {error}.") from error
        try:
            await self._serve(blobs)
        finally:
            await blobs.close()

    def reload_access(self) -> int:
        """The invites in the hub's folder have changed: let those out who lost theirs; returns how many."""
        return self._access.reload()

    async def _reload_access(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"ended": self.reload_access()}

    async def _address(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"url": self.url}

    async def _serve(self, blobs: HubBlobs) -> None:
        def is_socket(target: str) -> bool:
            return target.partition("?")[0] in (ROOM_PATH, BLOBS_PATH) or door_at(target) is not None

        http = HubHttp(is_socket, self._access, self.counts, self._health, lambda: self._reading(blobs))
        entrance = Entrance(Crowd(), self.counts)
        self._gate.known = entrance.known

        async def handler(websocket: ServerConnection) -> None:
            request = websocket.request
            assert request is not None and isinstance(websocket, HubSocket)
            if request.path.partition("?")[0] == BLOBS_PATH:
                websocket.leave_to_library()
                await blobs.serve(websocket)
            else:
                await self._serve_room(websocket, door_at(request.path))

        def committed(took_s: float) -> None:
            self._trouble = ""
            http.commits.observe(took_s)

        self._store = self._open_store()
        server: Server | None = None
        beating = asyncio.create_task(entrance.beat(), name="hub heartbeat")
        try:
            while True:
                work = HubWork(self._store, committed)
                engine = HubEngine(secrets.token_hex(8), SystemRandom(), self.counts, self._gate.admit)
                self._loop = loop = HubLoop(engine, work, self._gate, self._take_notice)
                if server is None:
                    server = await self._listen(handler, http, entrance)
                    assert self._ready is not None
                    self._ready.set_result(None)
                try:
                    await self._run_loop(loop, work, server)
                    return
                except StoreCorrupt as error:
                    self._store.close()
                    sound = await self._is_sound(self._store.path)
                    if sound is None:
                        return
                    self._store = self._store_after(error, sound)
                except StoreError:
                    raise
                except Exception:
                    logger.exception("The hub met an error that it does not know; it starts over")
                finally:
                    work.close()
        finally:
            beating.cancel()
            self._loop = None
            self._gate.close()
            if server is not None:
                await _end_connections(server)
            self._store.close()

    async def _run_loop(self, loop: HubLoop, work: HubWork, server: Server) -> None:
        """Return once stopped. Raises what ended the loop otherwise."""
        running = asyncio.create_task(loop.run(), name="hub loop")
        stopping = asyncio.create_task(self._stop.wait(), name="hub stop")
        idling = shrink_when_idle(work.shrink, lambda: self._store.freed)
        shrinking = asyncio.create_task(idling, name="hub shrinking")
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                server.close(close_connections=False)
                loop.stop()
                await asyncio.wait({running}, timeout=STOP_TIMEOUT_S)
            if running.done():
                await running
        finally:
            running.cancel()
            stopping.cancel()
            shrinking.cancel()
            await asyncio.gather(running, stopping, shrinking, return_exceptions=True)

    def _open_store(self) -> SqliteHubStore:
        path = self._data / "hub.db"
        try:
            return SqliteHubStore(path)
        except StoreCorrupt as error:
            return self._store_after(error, sound_after_all(path))

    async def _is_sound(self, path: Path) -> bool | None:
        """Whether the store, which is closed, is sound; None when it is stopped before it can be read."""
        while not self._stop.is_set():
            try:
                return await asyncio.to_thread(sound_after_all, path)
            except StoreFailed as error:
                self._take_notice(
                    Notice("store", "", f"{error} It is tried again; look at the disk's health.")
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), STORE_RETRY_S)
        return None

    def _store_after(self, error: StoreCorrupt, sound: bool) -> SqliteHubStore:
        """The store is closed: open it again if it is sound, else begin a new one."""
        path = self._data / "hub.db"
        if sound:
            self._take_notice(
                Notice("store", "", f"{path} could not be read, but is sound: look at the disk's health.")
            )
            return SqliteHubStore(path)
        aside = put_aside(path)
        self._noticed(
            Notice(
                "corrupt",
                "",
                f"{error} It is kept as {aside}, and a new one was begun. "
                "Each replica that connects gives the hub again what it has.",
            )
        )
        return SqliteHubStore(path)

    async def _listen(
        self, handler: Callable[[ServerConnection], Awaitable[None]], http: HubHttp, entrance: Entrance
    ) -> Server:
        certificate = self._access.certificate
        tls: dict[str, Any] = {}
        if certificate is not None:
            tls = {"ssl": certificate.context, "ssl_handshake_timeout": limits.HELLO_TIMEOUT_S}
        try:
            server = await serve(
                handler,
                self._host,
                self._port,
                process_request=http.process,
                create_connection=entrance.connection,  # type: ignore[arg-type]  # it is only called
                open_timeout=limits.HELLO_TIMEOUT_S,
                compression=None,
                server_header=None,
                max_size=limits.FRAME_MAX_BYTES,
                max_queue=QUEUED_FRAMES_MAX,
                ping_interval=None,  # the entrance asks for signs of life
                close_timeout=CLOSE_TIMEOUT_S,
                logger=logging.getLogger("crdtsync.hub.websockets"),
                **tls,
            )
        except (OSError, OverflowError, UnicodeError) as error:
            raise CrdtsyncError(cannot_listen(self._host, self._port, error)) from error
        port = next(iter(server.sockets)).getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"{self._access.scheme}://{host}:{port}"
        return server

    async def _serve_room(self, websocket: HubSocket, door: YjsDoor | HocuspocusDoor | None) -> None:
        if self._loop is not None:
            await self._loop.serve(websocket, door)
        else:
            websocket.leave_to_library()
            await websocket.close(RESTARTING)

    # -- telling --------------------------------------------------------------------------------------

    def _take_notice(self, notice: Notice) -> None:
        if notice.kind == "store":
            self._trouble = notice.message
        self._noticed(notice)

    def _health(self) -> Health:
        engine = self._loop.engine if self._loop is not None else None
        return Health(
            "degraded" if self._trouble else "ok",
            version("crdtsync"),
            engine.rooms if engine is not None else 0,
            engine.members if engine is not None else 0,
            round(time.monotonic() - self._started_s, 3),
            self._trouble,
        )

    def _reading(self, blobs: HubBlobs) -> Reading:
        engine = self._loop.engine if self._loop is not None else None
        traffic = blobs.traffic
        return Reading(
            engine.rooms if engine is not None else 0,
            engine.members if engine is not None else 0,
            engine.uncommitted_bytes if engine is not None else 0,
            self.counts,
            Blobs(
                traffic.connections,
                traffic.received_bytes,
                traffic.sent_bytes,
                traffic.stored_chunks,
                traffic.sent_chunks,
                traffic.missing_chunks,
            ),
        )


async def _end_connections(server: Server) -> None:
    """Stop listening; give every connection a moment to say goodbye."""
    server.close(close_connections=False)
    for websocket in list(server.connections):
        if websocket.request is not None and websocket.request.path.startswith(BLOBS_PATH):
            await websocket.close(1001, "The hub is shutting down.")
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await server.wait_closed()
    except TimeoutError:
        for websocket in list(server.all_connections):
            websocket.transport.abort()
        await server.wait_closed()
