"""A joined folder in one object: its disk, its store and its watcher, opened in the right order.

Checks that the folder belongs to this room; everything else is done by the parts.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from crdtsync.adapters.disk import Disk
from crdtsync.adapters.exchange import put_new
from crdtsync.adapters.filesystem import Blocked, split
from crdtsync.adapters.kernel import is_regular
from crdtsync.adapters.replica_store import ReplicaStore, StoreCorrupt
from crdtsync.adapters.replica_store_beside import StoreBeside
from crdtsync.adapters.replica_store_database import sound_after_all
from crdtsync.adapters.scanner import refuse_nested
from crdtsync.adapters.state_folder import NEEDED, STATE_FILE
from crdtsync.adapters.trash import Trashed
from crdtsync.adapters.watcher import Watcher
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import Hint, HintsLost, Recovered, Scan
from crdtsync.core.replica.joining import JOINED_KEY
from crdtsync.core.replica.records import PutMeta, Remembered
from crdtsync.core.replica.steps import Displaced, Outcome, Step
from crdtsync.core.values.files import Seen
from crdtsync.core.values.folding import Folding
from crdtsync.core.values.ids import printable
from crdtsync.errors import AlreadyJoined, FolderError, NameTaken, StoreError

ROOM_KEY = "room"
HUB_KEY = "hub"
REPLICA_KEY = "replica"
RESOLVED = "conflict resolved"
REPLACED = "replaced by a program"


class JoinedFolder:
    """Open and locked until ``close``. Everything that blocks is for worker threads, but for the store."""

    def __init__(self, directory: Path, room: str, hub: str) -> None:
        """Raises FolderError, AlreadyJoined, StoreError."""
        self.notices: list[str] = []
        """What a person should know of how it was opened."""
        self.remembered = Remembered()
        """What the store held when it was opened."""
        self.disk = Disk(directory, room)
        self._watcher: Watcher | None = None
        try:
            self.store = self._open_store()
        except BaseException:
            self.disk.close()
            raise
        try:
            self._check_room(room, hub)
            for name in NEEDED:
                self.disk.guard.needs(name)
        except BaseException:
            self.store.close()
            self.disk.close()
            raise
        self.records = StoreBeside(self.store)
        """The store, for whoever gives it much to write at once."""

    @property
    def state_folder(self) -> Path:
        return Path(self.disk.folder.state_directory)

    @property
    def folding(self) -> Folding:
        """What the folder's file system takes for one name."""
        return self.disk.folding

    @property
    def staging(self) -> Path:
        return self.state_folder / "staging"

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        self.records.close()
        self.store.close()
        self.disk.close()

    def take_remembered(self) -> Remembered:
        """What the store held when it was opened, for the engine alone: it is large."""
        remembered, self.remembered = self.remembered, Remembered()
        return remembered

    # -- opening ------------------------------------------------------------------------------------

    def _open_store(self) -> ReplicaStore:
        path = self.state_folder / STATE_FILE
        store: ReplicaStore | None = None
        try:
            store = ReplicaStore(path)
            self.remembered = store.remembered()
        except StoreCorrupt as error:
            if store is not None:
                store.close()
            if sound_after_all(path, error):
                return self._reopened(path)
            aside = ReplicaStore.quarantine(path, datetime.now(UTC))
            self.notices.append(
                f"{error}. It is kept as {aside}; the folder joins anew, and nothing in it is overwritten"
            )
            return self._reopened(path)
        return store

    def _reopened(self, path: Path) -> ReplicaStore:
        store = ReplicaStore(path)
        try:
            self.remembered = store.remembered()
        except StoreError:
            store.close()
            raise
        return store

    def set_store_aside(self, error: StoreCorrupt) -> Path | None:
        """The store turned out to be damaged: keep it for whoever wants to look; returns where.

        None when it is sound after all, and only could not be read. Raises StoreError. The folder is of no
        use afterwards, but to be closed; the next join starts anew, or goes on.
        """
        self.records.close()
        self.store.close()
        path = self.state_folder / STATE_FILE
        return None if sound_after_all(path, error) else ReplicaStore.quarantine(path, datetime.now(UTC))

    def _check_room(self, room: str, hub: str) -> None:
        meta = self.remembered.meta
        joined = meta.get(ROOM_KEY)
        if joined is not None and joined != room:
            if self._has_shared():
                raise AlreadyJoined(
                    f"{printable(self.disk.directory)} is joined to room {joined} at {meta.get(HUB_KEY)}. "
                    f"Join another folder, or leave that room by removing {printable(str(self.state_folder))}"
                )
            self.notices.append(f"Nothing was shared with room {joined} yet: it is left")
            self.store.close()
            self._delete_store()
            self.store = self._reopened(self.state_folder / STATE_FILE)
            meta, joined = self.remembered.meta, None
        self.replica_id = meta.get(REPLICA_KEY) or secrets.token_hex(8)
        self.store.persist(
            [PutMeta(ROOM_KEY, room), PutMeta(HUB_KEY, hub), PutMeta(REPLICA_KEY, self.replica_id)]
        )
        if joined is None:
            try:
                refuse_nested(self.disk.scan(), self.disk.directory)
            except FolderError:
                self._leave()
                raise

    def _has_shared(self) -> bool:
        """Whether folder and room were ever compared, or someone typed what the hub does not have yet."""
        found = self.remembered
        return JOINED_KEY in found.meta or bool(found.synced) or any(head.dirty for head in found.heads)

    def _leave(self) -> None:
        """Undo what opening made, since the folder cannot be joined."""
        self.store.close()
        self._delete_store()
        self.disk.folder.remove_unused()

    def _delete_store(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self.state_folder / (STATE_FILE + suffix)).unlink(missing_ok=True)

    # -- what the runtime carries out ---------------------------------------------------------------

    def watch(
        self,
        put: Callable[[Hint | HintsLost], None],
        late_write: Callable[[str], None],
        notice: Callable[[str], None],
    ) -> None:
        """Start watching. All three are called from the watcher's threads; ``late_write`` gets the name in
        staging of a displaced file that is being written to."""
        disk = self.disk
        self._watcher = Watcher(disk.tree, disk.folder, disk.ignores, put, late_write, notice)
        self._watcher.start()

    def look(self, paths: Iterable[LookAt]) -> tuple[tuple[str, Seen], ...]:
        return self.disk.look(paths)

    def glance(self, path: LookAt) -> Seen | None:
        return self.disk.glance(path)

    def scan(self, below: str) -> Scan:
        return self.disk.scan(below)

    def ignored(self, path: str) -> bool:
        return self.disk.ignored(path)

    def recover(self) -> Recovered:
        return self.disk.recover()

    def prepare(self, steps: Sequence[Step]) -> None:
        self.disk.prepare(steps)

    def perform(self, steps: Sequence[Step], done: Callable[[Sequence[tuple[Step, Outcome]]], None]) -> None:
        self.disk.perform(steps, done)

    def poll_displaced(self, touched: Iterable[str] = ()) -> tuple[list[Displaced], float | None]:
        """Late changes, and when to ask next by ``time.monotonic``; ``touched`` names files written to."""
        return self.disk.poll_displaced(time.monotonic(), touched)

    @property
    def displaced_unread(self) -> bool:
        """As of ``Disk``."""
        return self.disk.displaced_unread

    def drop_displaced(self, token: str) -> None:
        self.disk.drop_displaced(token)

    def make_durable(self) -> None:
        self.disk.make_durable()

    def open_file(self, path: str) -> int:
        """Open a room path for reading, following no link on the way. Raises OSError."""
        return self.disk.open_file(path)

    # -- for programs -------------------------------------------------------------------------------

    def put_file(self, staged: str, path: str) -> None:
        """Give the file of that name in staging its place; a file that stands there goes to the trash.

        Raises NameTaken and FolderError; the file is gone then.
        """
        above, last = split(path)
        tree, calls, staging_fd = self.disk.tree, self.disk.tree.calls, self.disk.folder.staging.fd
        try:
            self.disk.folder.staging.stand()
            with tree.made_folder(above) as fd:
                try:
                    put_new(calls, staged, staging_fd, last, fd)
                except FileExistsError:
                    if not is_regular(calls.lstat(last, fd)):
                        raise
                    calls.exchange(staged, staging_fd, last, fd)
                    try:
                        still_there = self.disk.trash.keep(staged, staging_fd, path, REPLACED)
                    except OSError:
                        calls.exchange(staged, staging_fd, last, fd)  # what cannot be kept is not replaced
                        raise
                    if still_there:
                        calls.unlink(staged, staging_fd)
        except (FileExistsError, Blocked) as error:
            self.unstage(staged)
            in_the_way = error.path if isinstance(error, Blocked) else path
            raise NameTaken(f"{printable(in_the_way)} is there already, and no plain file") from error
        except OSError as error:
            self.unstage(staged)
            raise FolderError(f"{printable(path)} cannot be written: {error.strerror}") from error

    def unstage(self, staged: str) -> None:
        """The file of that name in staging is not needed."""
        with suppress(OSError):
            self.disk.tree.calls.unlink(staged, self.disk.folder.staging.fd)

    # -- for people ---------------------------------------------------------------------------------

    def list_trash(self) -> list[Trashed]:
        return self.disk.trash.listing()

    def expire_trash(self) -> None:
        """Delete what has been in the trash for too long, or is too much; what cannot be deleted stays."""
        with suppress(OSError):
            self.disk.trash.expire()

    def restore_from_trash(self, path: str) -> str:
        """Bring a file back from the trash; returns its path. Raises FolderError."""
        self.disk.trash.restore(path)
        return path

    def resolve_conflict(self, copy: str, original: str | None, keep_copy: bool) -> list[str]:
        """Keep one of the two under the original's name, the other goes to the trash; returns both paths.

        Raises FolderError.
        """
        if original is None:
            raise FolderError(f"{printable(copy)} has no original any more; rename it as you like")
        folder, name = split(copy)
        above, last = split(original)
        tree, calls = self.disk.tree, self.disk.tree.calls
        try:
            with tree.folder(folder) as copy_fd, tree.folder(above) as original_fd:
                if keep_copy:
                    calls.exchange(name, copy_fd, last, original_fd)
                if self.disk.trash.keep(name, copy_fd, copy, RESOLVED):
                    calls.unlink(name, copy_fd)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise FolderError(f"{printable(copy)} cannot be resolved: {reason}") from error
        return [copy, original]
