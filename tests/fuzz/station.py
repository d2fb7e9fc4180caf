"""A replica's real engine, store and disk on a real folder, run step by step on a clock of the test's.

No thread, watcher or socket: whoever drives it tells of saves, and is given what the replica sends.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import assert_never

from crdtsync.adapters.chunker import manifest_of_bytes
from crdtsync.adapters.folder import JoinedFolder
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.engine import ReplicaEngine
from crdtsync.core.replica.session import Identity
from crdtsync.core.replica.steps import Outcome, Step
from crdtsync.core.values.digests import Digest

START_S = 1_700_000_000.0
EVENTS_MAX = 3_000
"""For one thing that is asked of it; beyond that it spins."""


class Spins(AssertionError):
    """The replica goes on and on although nothing happens."""


class Station:
    """``send`` gets each frame. ``blobs`` are those that the hub has."""

    def __init__(
        self,
        directory: Path,
        name: str,
        send: Callable[[bytes | str], None],
        blobs: dict[Digest, bytes],
        now_s: float = START_S,
    ) -> None:
        self.directory = directory
        self.now_s = now_s
        self.connected = False
        self.wants_connection = False
        self.halted: str | None = None
        self.flushed: set[int] = set()
        self._send = send
        self._blobs = blobs
        self._events: deque[ev.Event] = deque()
        self.folder = JoinedFolder(directory, "notes", "ws://hub")
        self.engine = ReplicaEngine(
            Identity("notes", self.folder.replica_id, name, None),
            self.folder.remembered,
            self.folder.store,
            Random(name),
            self.folder.ignored,
            ev.Differing.BOTH,
            "boot",
        )
        self._events.append(self.folder.recover())
        self._carry_out(self.engine.start(self.now_s))
        self.run()

    def close(self) -> None:
        for effect in self.engine.stop(self.now_s):
            if isinstance(effect, ef.Persist):
                self.folder.store.persist(effect.records)
        self.folder.close()

    # -- what happens to it -----------------------------------------------------------------------------

    def connect(self) -> None:
        """The hub answers, if it was asked to."""
        if self.wants_connection:
            self.wants_connection, self.connected = False, True
            self.happens(ev.Connected())

    def disconnect(self, reason: str) -> None:
        if self.connected:
            self.connected = False
            self.happens(ev.Disconnected(reason))

    def receive(self, frame: bytes | str) -> None:
        if self.connected:
            self.happens(ev.TextFrame(frame) if isinstance(frame, str) else ev.BinaryFrame(frame))

    def saved(self, path: str) -> None:
        self.happens(ev.Hint(path, ev.HintKind.CLOSED))

    def flush(self, number: int) -> None:
        self.happens(ev.FlushRequested(number))

    def happens(self, event: ev.Event) -> None:
        self._events.append(event)
        self.run()

    def run(self) -> None:
        """Until nothing more happens by itself."""
        for _ in range(EVENTS_MAX):
            if not self._events or self.halted is not None:
                return
            self._carry_out(self.engine.handle(self._events.popleft(), self.now_s))
        raise Spins(f"{self.directory}: {self._events[0]!r}")

    def pass_time(self, seconds: float) -> None:
        """Whatever falls due on the way happens."""
        until_s = self.now_s + seconds
        for _ in range(EVENTS_MAX):
            deadline = self.engine.deadline
            if deadline is None or deadline > until_s or self.halted is not None:
                self.now_s = until_s
                return
            self.now_s = max(self.now_s, deadline) + 1e-4
            self.happens(ev.Tick())
        raise Spins(f"{self.directory}: due again and again at {self.now_s}")

    # -- what it asks for -------------------------------------------------------------------------------

    def _carry_out(self, effects: Sequence[ef.Effect]) -> None:
        folder, happens = self.folder, self._events.append
        for effect in effects:
            match effect:
                case ef.Persist(records):
                    folder.store.persist(records)
                case ef.SendText(data) | ef.SendBinary(data):
                    if self.connected:
                        self._send(data)
                case ef.Look(paths):
                    happens(ev.Looked(folder.look(paths)))
                case ef.ScanFolder(number, below):
                    happens(ev.Scanned(number, folder.scan(below)))
                case ef.Steps(steps):
                    folder.perform(steps, self._performed)
                case ef.DropDisplaced(token):
                    folder.drop_displaced(token)
                case ef.MakeDurable(number):
                    happens(ev.MadeDurable(number))
                case ef.Connect():
                    self.wants_connection = True
                case ef.Disconnect(reason):
                    self.connected = False
                    happens(ev.Disconnected(reason))
                case ef.Upload(path, manifest):
                    happens(self._upload(path, manifest.digest))
                case ef.Fetch(digest):
                    happens(self._fetch(digest))
                case ef.CancelTransfer() | ef.Notice() | ef.ForPrograms():
                    pass
                case ef.AskDiffering():
                    happens(ev.Decided(ev.Differing.BOTH))
                case ef.Flushed(number):
                    self.flushed.add(number)
                case ef.Halt(message):
                    self.halted = message
                case _:
                    assert_never(effect)

    def _performed(self, outcomes: Sequence[tuple[Step, Outcome]]) -> None:
        self._events.append(ev.StepsDone(tuple((step.step, outcome) for step, outcome in outcomes)))

    def _upload(self, path: str, digest: Digest) -> ev.Event:
        fd = self.folder.open_file(path)
        with os.fdopen(fd, "rb") as file:
            data = file.read()
        self._blobs[digest] = data
        return ev.Uploaded(digest, digest)

    def _fetch(self, digest: Digest) -> ev.Event:
        data = self._blobs.get(digest)
        if data is None or manifest_of_bytes(data).digest != digest:
            return ev.FetchFailed(digest, "the hub does not have it", True)
        (self.folder.staging / f"blob-{digest}").write_bytes(data)
        return ev.Fetched(digest)
