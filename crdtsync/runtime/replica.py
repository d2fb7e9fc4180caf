"""Runs one joined folder: carries events to the engine and its effects to disk, store and hub.

The engine, all documents and the store live on the loop's thread. Decides nothing on its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import assert_never

from crdtsync.adapters import saved_token
from crdtsync.adapters.boot import boot_id
from crdtsync.adapters.folder import JoinedFolder
from crdtsync.adapters.hub_link import HubLink, hub_address
from crdtsync.adapters.network_changes import NetworkChanges
from crdtsync.adapters.replica_store import StoreCorrupt
from crdtsync.adapters.tls import client_context
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.engine import ReplicaEngine
from crdtsync.core.replica.session import Identity
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.core.values.ids import check_room_name, check_token
from crdtsync.errors import (
    AccessDenied,
    CrdtsyncError,
    HubUnreachable,
    ProtocolMismatch,
    RootGone,
    StoreError,
)
from crdtsync.runtime.blob_job import Transfer
from crdtsync.runtime.blob_transfer import BlobTransfers
from crdtsync.runtime.carrying import Carrying
from crdtsync.runtime.disk_tasks import DiskTasks
from crdtsync.runtime.event_queue import EventQueue
from crdtsync.runtime.idle import shrink_when_idle
from crdtsync.runtime.joining import JoinOptions, Observer, Observers
from crdtsync.runtime.programs import Programs, Sink
from crdtsync.runtime.turns import Turns


class Replica:
    """One joined folder. ``run`` returns after ``stop``; raises what ended it otherwise."""

    def __init__(self, options: JoinOptions, observer: Observer) -> None:
        self.options = options
        self.hub = hub_address(options.hub)
        self._tls = client_context(options.ca) if self.hub.startswith("wss://") else None
        check_room_name(options.room)
        check_token(options.token)
        self._observer = Observers(observer)
        self._turns: Turns
        self._events: EventQueue[ev.Event]
        self._folder: JoinedFolder
        self._engine: ReplicaEngine | None = None
        self._programs = Programs()
        self._carrying = Carrying(
            self._one,
            lambda records: self._folder.records.persist(records),
            self._not_written,
            self._gives_up,
            lambda due: self._disk.prepare(due.steps),
            lambda: self._events.put(ev.Tick()),
        )
        self._link: HubLink
        self._transfers: BlobTransfers
        self._flushes: dict[int, asyncio.Future[None]] = {}
        self._flush_number = 0
        self._stopping = asyncio.Event()
        self._end: BaseException | None = None
        self._was_connected = False
        self.unreachable: CrdtsyncError | None = None
        """Why the hub cannot be reached at the moment."""
        self._epoch_s = time.time() - time.monotonic()

    @property
    def status(self) -> Status | None:
        """A snapshot; None before the folder is open."""
        return None if self._engine is None else self._engine.status

    @property
    def conflicts(self) -> list[Conflict]:
        return [] if self._engine is None else self._engine.conflicts

    @property
    def transfers(self) -> list[Transfer]:
        return [] if self._engine is None else self._transfers.progress()

    @property
    def engine(self) -> ReplicaEngine | None:
        """To be asked what stands where, told things by ``say`` alone. None before the folder is open."""
        return self._engine

    @property
    def end(self) -> BaseException | None:
        """What ended it, or is about to; None while it runs, and after ``stop``."""
        return self._end

    @property
    def observers(self) -> set[Observer]:
        """Those who are told, too."""
        return self._observer.others

    @property
    def folder(self) -> JoinedFolder:
        return self._folder

    def stop(self) -> None:
        """End cleanly; ``run`` returns soon after."""
        self._stopping.set()

    async def flush(self, *, since_start: bool = False) -> None:
        """Return once all that is on disk now is on the hub, and all that the hub has is on disk.

        With ``since_start`` what was on disk at the start is meant, which saves a walk through the folder.
        """
        self._flush_number += 1
        number = self._flush_number
        future = asyncio.get_running_loop().create_future()
        self._flushes[number] = future
        self._events.put(ev.FlushRequested(number, since_start))
        try:
            await future
        finally:
            self._flushes.pop(number, None)

    def confirm(self) -> None:
        """Send the deletions that were held."""
        self._events.put(ev.ConfirmRequested())

    def restore(self) -> None:
        """Bring the files of the held deletions back."""
        self._events.put(ev.RestoreRequested())

    def attach(self, sink: Sink) -> int:
        """A program of this machine that edits texts as they are typed: ``sink`` is called on the loop.

        Returns its number, the ``holder`` of all that it says by ``say``; ``detach`` ends it.
        """
        return self._programs.come(sink)

    def say(self, event: ev.Said) -> None:
        """On the loop. The sinks have been called with what follows from it when this returns.

        Nothing happens before the folder is open.
        """
        if self._engine is not None:
            self._carrying.at_once(self._handle(event))
            self._events.wake()  # to go on with what is owed, or wait for something else

    @property
    def behind(self) -> bool:
        """Whether much waits to be carried out, as while the disk is full: who types should wait."""
        return self._carrying.behind

    def taken(self, program: str) -> int:
        """The number of the last edit of a program that was taken, by its marks."""
        return 0 if self._engine is None else self._engine.taken(program)

    def detach(self, holder: int) -> None:
        self._programs.go(holder)
        self.say(ev.HolderGone(holder))

    def look_again(self, paths: Sequence[str]) -> None:
        """Something of ours changed these paths on disk on a person's behalf."""
        for path in paths:
            self._events.put(ev.Hint(path, ev.HintKind.CLOSED))

    async def run(self, opened: Callable[[], Awaitable[None]] | None = None) -> None:
        """Join and keep in sync until ``stop``; ``opened`` is awaited once the folder is ours.

        Raises FolderError, AlreadyJoined, StoreError, RootGone, AccessDenied, ProtocolMismatch.
        """
        self._turns = Turns(
            self._handle, self._until_due, self._carrying, self._taken, self._observer.changed, self._halt
        )
        self._events = self._turns.events
        options = self.options
        self._folder = JoinedFolder(options.directory, options.room, self.hub)
        self._disk = DiskTasks(
            self._folder, self._put, partial(self._observer.notice, "told", ""), self._halt
        )
        network = NetworkChanges(asyncio.get_running_loop(), self._network_changed)
        try:
            for notice in self._folder.notices:
                self._observer.notice("told", "", notice)
            self._open_engine()
            await self._disk.start()
            if opened is not None:
                await opened()
            await self._loop()
            await self._end_well()
        except StoreCorrupt as error:
            await self._carrying.close()
            aside = self._folder.set_store_aside(error)
            if aside is None:
                raise StoreError(
                    f"The state of {options.directory} could not be read for a while, and is sound: look at "
                    "the disk's health, and join again"
                ) from error
            raise StoreError(
                f"{error}. It is kept as {aside}; join again: nothing in the folder is overwritten"
            ) from error
        finally:
            network.close()
            await self._close()
        if self._end is not None:
            raise self._end

    def _open_engine(self) -> None:
        options, folder = self.options, self._folder
        identity = Identity(options.room, folder.replica_id, options.name, options.token, options.read_only)
        self._engine = ReplicaEngine(
            identity,
            folder.take_remembered(),
            folder.records,
            random.SystemRandom(),
            folder.ignored,
            options.differing,
            boot_id(),
            folder.folding,
        )
        self._link = HubLink(self.hub, self._connected, self._received, self._ended, self._tls)
        self._transfers = BlobTransfers(
            hub_url=self.hub,
            room=options.room,
            replica=folder.replica_id,
            name=options.name,
            token=options.token,
            tls=self._tls,
            opener=folder.open_file,
            staging=folder.staging,
            emit=self._events.put,
        )

    async def _loop(self) -> None:
        assert self._engine is not None
        await self._carrying.out(self._programs.tell(self._engine.start(self._now())))
        stopping = asyncio.create_task(self._stopping.wait())
        shrinking = asyncio.create_task(shrink_when_idle(self._shrink, self._rest), name="shrinking")
        stopping.add_done_callback(lambda _: self._events.put(ev.Tick()))
        try:
            await self._turns.run(self._stopping)
        finally:
            stopping.cancel()
            shrinking.cancel()
            await asyncio.gather(stopping, shrinking, return_exceptions=True)

    def _handle(self, event: ev.Event) -> list[ef.Effect]:
        assert self._engine is not None
        return self._programs.tell(self._folder.records.owing(self._engine.handle(event, self._now())))

    def _until_due(self) -> float | None:
        assert self._engine is not None
        deadline = self._engine.deadline
        return None if deadline is None else max(0.0, deadline - self._now())

    def _taken(self, event: ev.Event) -> None:
        for each in event.events if isinstance(event, ev.Several) else (event,):
            if isinstance(each, ev.TextFrame | ev.BinaryFrame):
                self._link.taken(each.data)

    async def _shrink(self) -> bool:
        """Not while there is something to do, which a write would delay."""
        return not self._events and self._folder.records.shrink()

    def _rest(self) -> bool:
        engine, busy = self._engine, self._events or self._carrying.busy
        return engine is not None and not busy and engine.rest(self._now())

    def _now(self) -> float:
        """Seconds since 1970 by a clock that never goes back and never jumps."""
        return self._epoch_s + time.monotonic()

    def _one(self, effect: ef.Effect) -> None:
        match effect:
            case ef.Persist():
                raise AssertionError("what is to be persisted may have to be waited for")
            case ef.SendText(data) | ef.SendBinary(data):
                self._link.send(data)
            case ef.Look(paths):
                self._disk.look(paths)
            case ef.ScanFolder(number, below):
                self._disk.scan(number, below)
            case ef.Steps(steps):
                self._disk.perform(steps)
            case ef.DropDisplaced(token):
                self._disk.drop_displaced(token)
            case ef.MakeDurable(number):
                self._disk.make_durable(number)
            case ef.Connect():
                self._link.open()
            case ef.Disconnect(reason):
                self._observer.notice("offline", "", reason)
                self._link.drop(reason)
            case ef.Upload(path, manifest):
                self._transfers.upload(path, manifest)
            case ef.Fetch(digest, size_bytes, index, near):
                self._transfers.fetch(digest, size_bytes, index, near)
            case ef.CancelTransfer(digest):
                self._transfers.cancel(digest)
            case ef.AskDiffering():
                self._disk.task(self._ask(effect))
            case ef.Flushed(number):
                future = self._flushes.get(number)
                if future is not None and not future.done():
                    future.set_result(None)
            case ef.Halt(message, denied, mismatch):
                kind_of_end = AccessDenied if denied else ProtocolMismatch if mismatch else RootGone
                self._halt(kind_of_end(message))
            case ef.Notice(kind, path, message):
                if kind == "connected":
                    self._keep_token()
                self._observer.notice(kind, path, message)
            case ef.ForPrograms():
                pass  # told already
            case _:
                assert_never(effect)

    def _keep_token(self) -> None:
        """The hub has taken it: the next join of this folder need not be told."""
        options = self.options
        told = saved_token.keep(options.directory, self._folder.state_folder, self.hub, options.token)
        if told is not None:
            self._observer.notice("told", "", told)

    def _not_written(self, error: StoreError) -> None:
        self._observer.notice("failed", "", str(error))

    def _gives_up(self, error: StoreError) -> bool:
        """The store cannot be written: whether that is waited for no longer, as we are about to end."""
        if self._stopping.is_set():
            self._halt(error)
        return self._stopping.is_set()

    async def _ask(self, question: ef.AskDiffering) -> None:
        self._events.put(ev.Decided(await self._observer.ask(question)))

    def _put(self, event: ev.Event) -> None:
        """From any thread. While a full disk is waited for, hints must not pile up."""
        if isinstance(event, ev.Hint):
            self._events.put_bounded(event, ev.HintsLost())
        else:
            self._events.put(event)

    def _connected(self) -> None:
        self._was_connected = True
        self.unreachable = None
        self._events.put(ev.Connected())
        self._transfers.network_changed()

    def _received(self, frame: str | bytes) -> None:
        self._events.put(ev.TextFrame(frame) if isinstance(frame, str) else ev.BinaryFrame(frame))
        self._turns.arrived()

    def _ended(self, reason: CrdtsyncError) -> None:
        self.unreachable = reason
        if isinstance(reason, ProtocolMismatch) and not self._was_connected:
            self._halt(reason)
        self._events.put(ev.Disconnected(str(reason)))

    def _network_changed(self) -> None:
        self._events.put(ev.NetworkChanged())
        self._transfers.network_changed()

    def _halt(self, error: BaseException) -> None:
        self._end = error
        self._stopping.set()

    async def _end_well(self) -> None:
        """What was agreed on in the last moments is made durable and remembered as such."""
        assert self._engine is not None
        if self._end is not None:
            return
        await self._carrying.finish(())
        for effect in self._engine.stop(self._now()):
            match effect:
                case ef.Persist(records):
                    await self._carrying.persist(records)
                case ef.MakeDurable(number):
                    if await self._disk.durable_now():
                        await self._carrying.finish(self._engine.handle(ev.MadeDurable(number), self._now()))

    async def _close(self) -> None:
        """Let go of everything; steps that were begun are finished first."""
        await self._carrying.close()
        if self._engine is not None:
            await self._link.close()
            await self._transfers.close()
        await self._disk.close()
        for future in self._flushes.values():
            if not future.done():
                future.set_exception(self._end or HubUnreachable("the replica has stopped"))
        self._folder.close()
