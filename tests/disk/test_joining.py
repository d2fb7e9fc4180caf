"""Opening a folder, its lock, and noticing that it is gone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from crdtsync.adapters.disk import Disk
from crdtsync.adapters.folder import JoinedFolder
from crdtsync.adapters.folder_lock import LOCK
from crdtsync.adapters.state_folder import STATE_FILE
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.joining import JOINED_KEY
from crdtsync.core.replica.records import Head, PutHead, PutMeta, PutSynced, Record, Synced
from crdtsync.core.replica.steps import MakeFolder
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind, Present
from crdtsync.core.values.ids import DocumentId
from crdtsync.errors import AlreadyJoined, FolderError, RootGone

from .support import ENTRY, Joined, number, text_step

_REPOSITORY = Path(__file__).parents[2]


def test_a_missing_folder_is_made_with_a_private_state_folder(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a/b", "notes")
    state = tmp_path / "a/b/.crdtsync"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / ".gitignore").read_text() == "*\n"
    assert {path.name for path in state.iterdir() if path.is_dir()} == {"staging", "trash", "chunks"}
    assert json.loads((state / "lock").read_text()) == {"pid": os.getpid(), "room": "notes"}
    disk.close()
    Disk(tmp_path / "a/b", "notes").close()


def test_a_folder_is_joined_through_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    disk = Disk(tmp_path / "link", "notes")
    assert disk.directory == str(tmp_path / "real")
    disk.close()


def test_a_second_join_names_the_first(joined: Joined) -> None:
    with pytest.raises(AlreadyJoined, match=f"to room notes by process {os.getpid()}; end that one first"):
        Disk(joined.root, "other")


def test_a_join_after_a_kill_finds_the_folder_free(tmp_path: Path) -> None:
    program = "import os,sys;from crdtsync.adapters.disk import Disk;d=Disk(sys.argv[1],'x');os._exit(9)"
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=_REPOSITORY)
    assert ran.returncode == 9
    Disk(tmp_path, "notes").close()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    for path in ("a", "a/b"):
        with pytest.raises(FolderError, match=f"{path} cannot be joined: it.* file"):
            Disk(tmp_path / path, "notes")


def test_a_folder_inside_a_joined_one_is_refused(joined: Joined) -> None:
    with pytest.raises(FolderError, match=f"is inside {joined.root}, which is joined"):
        Disk(joined.root / "a/b", "notes")
    with pytest.raises(FolderError, match="inside the state folder"):
        Disk(joined.staging, "notes")


@pytest.mark.parametrize("part", [".crdtsync", ".crdtsync/staging", ".crdtsync/trash", ".crdtsync/lock"])
def test_a_state_folder_that_leads_elsewhere_is_refused(tmp_path: Path, part: str) -> None:
    """A folder that was unpacked from anywhere may hold one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    (root / part).parent.mkdir(parents=True)
    (root / part).symlink_to(outside if part != ".crdtsync/lock" else outside / "made")
    with pytest.raises(FolderError, match="cannot be joined"):
        Disk(root, "notes")
    assert list(outside.iterdir()) == []


def test_a_state_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / ".crdtsync").mkdir(mode=0o755)
    Disk(tmp_path, "notes").close()
    assert stat.S_IMODE((tmp_path / ".crdtsync").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_refused(joined: Joined, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    joined.calls.instead["mkdir"] = refuse
    joined.calls.instead["open_folder"] = refuse
    with pytest.raises(FolderError, match="permission denied; it must be readable and writable"):
        Disk(tmp_path / "other", "notes", calls=joined.calls)
    joined.calls.instead.clear()


def _vanish(joined: Joined, how: str) -> None:
    root = joined.root
    match how:
        case "removed":
            shutil.rmtree(root)
        case "moved away":
            os.rename(root, root.parent / "elsewhere")
        case "replaced":
            os.rename(root, root.parent / "elsewhere")
            shutil.copytree(root.parent / "elsewhere", root)
        case "replaced by a file":
            os.rename(root, root.parent / "elsewhere")
            root.write_text("x")
        case "without its state":
            shutil.rmtree(root / ".crdtsync")
        case "with another state":
            os.rename(root / ".crdtsync", root / "former")
            shutil.copytree(root / "former", root / ".crdtsync")


_WAYS = [
    *("removed", "moved away", "replaced", "replaced by a file", "without its state", "with another state"),
]


@pytest.mark.parametrize("how", _WAYS)
def test_a_root_that_is_gone_is_never_seen_as_deletions(joined: Joined, how: str) -> None:
    (joined.root / "a").write_text("x")
    _vanish(joined, how)
    for work in (
        lambda: joined.disk.look([LookAt("a", True)]),
        lambda: joined.disk.scan(),
        lambda: joined.disk.perform([MakeFolder(number(), "made")]),
    ):
        with pytest.raises(RootGone, match="Nothing was deleted for others"):
            work()
    assert not (joined.root / "made").exists()
    assert not (joined.root.parent / "elsewhere/made").exists()


SHARED: dict[str, Record] = {
    "compared": PutMeta(JOINED_KEY, "1"),
    "agreed on a file": PutSynced(Synced(ENTRY, "a", Kind.TEXT, digest_of(b"x"), False, b"\0", None)),
    "with what someone typed": PutHead(Head(DocumentId(ENTRY), b"\0", digest_of(b"x"), 1, 0, True)),
}
RECEIVED = PutHead(Head(DocumentId(ENTRY), b"\0", digest_of(b"x"), 1, 1, False))


@pytest.mark.parametrize("how", SHARED)
def test_a_folder_belongs_to_the_room_that_it_was_shared_with(tmp_path: Path, how: str) -> None:
    folder = JoinedFolder(tmp_path, "notes", "ws://hub")
    folder.store.persist([SHARED[how]])
    folder.close()
    with pytest.raises(AlreadyJoined, match="is joined to room notes at ws://hub"):
        JoinedFolder(tmp_path, "other", "ws://hub")
    JoinedFolder(tmp_path, "notes", "ws://elsewhere").close()


def test_a_room_with_which_nothing_was_shared_yet_is_left_for_another(tmp_path: Path) -> None:
    """The hub was away, or refused; or the comparison told that it is the wrong room."""
    folder = JoinedFolder(tmp_path, "wrong", "ws://hub")
    folder.store.persist([RECEIVED])
    folder.close()
    right = JoinedFolder(tmp_path, "notes", "ws://hub")
    assert right.notices == ["Nothing was shared with room wrong yet: it is left"]
    assert right.replica_id != folder.replica_id
    assert not right.take_remembered().heads
    right.close()
    again = JoinedFolder(tmp_path, "notes", "ws://hub")
    assert (again.notices, again.replica_id) == ([], right.replica_id)
    again.close()


@pytest.mark.parametrize("name", [LOCK, STATE_FILE])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_nothing_goes_on_without_what_is_needed_of_the_state_folder(
    tmp_path: Path, name: str, how: str
) -> None:
    """Someone else could join as well, or all that is agreed would be forgotten at the next start."""
    folder = JoinedFolder(tmp_path, "notes", "ws://hub")
    try:
        (tmp_path / "a").write_text("x")
        assert folder.glance(LookAt("a", True)) is not None
        path = tmp_path / ".crdtsync" / name
        if how == "replaced":
            shutil.copy(path, path.with_name("copy"))
            path.with_name("copy").rename(path)
        else:
            path.unlink()
        assert folder.glance(LookAt("a", True)) is None
        with pytest.raises(RootGone, match=f"{name} (is gone|was replaced).*Nothing was deleted for others"):
            folder.look([LookAt("a", True)])
    finally:
        folder.close()


@pytest.mark.parametrize("call", ["stat", "lstat"])
def test_a_root_that_nobody_can_look_at_for_a_moment_is_not_gone(joined: Joined, call: str) -> None:
    (joined.root / "a").write_text("x")
    paused: list[float] = []

    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            joined.calls.instead.pop(call)

    joined.calls.instead |= {"pause": pause, call: denied}
    assert isinstance(joined.look("a"), Present)
    assert tuple(paused) == limits.ROOT_LOOK_AGAIN_S[:3]


@pytest.mark.parametrize(
    ("call", "code"), [("stat", errno.EACCES), ("stat", errno.EIO), ("lstat", errno.ESTALE)]
)
def test_a_root_that_nobody_can_look_at_for_long_counts_as_gone(joined: Joined, call: str, code: int) -> None:
    paused: list[float] = []

    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    joined.calls.instead |= {"pause": paused.append, call: fails}
    with pytest.raises(RootGone, match=r"cannot be looked at .*for 10 seconds now.*Nothing was deleted"):
        joined.look("a")
    assert tuple(paused) == limits.ROOT_LOOK_AGAIN_S


def test_a_root_that_turns_out_to_be_gone_is_waited_for_no_longer(joined: Joined) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def pause(seconds: float) -> None:
        _vanish(joined, "removed")
        joined.calls.instead.clear()

    joined.calls.instead |= {"pause": pause, "stat": denied}
    with pytest.raises(RootGone, match="is gone"):
        joined.look("a")


@pytest.mark.parametrize("how", _WAYS)
def test_a_root_that_goes_while_it_is_read_or_written_is_noticed(joined: Joined, how: str) -> None:
    (joined.root / "a").write_text("x")

    def vanish(*_: object) -> None:
        joined.calls.before.clear()
        _vanish(joined, how)

    joined.calls.before["fsync"] = vanish
    with pytest.raises(RootGone):
        joined.disk.perform([text_step("b", "x")])


@pytest.mark.parametrize("work", ["look", "scan"])
def test_a_root_that_goes_in_the_middle_of_reading_is_noticed(joined: Joined, work: str) -> None:
    (joined.root / "a").write_text("x")

    def vanish(*_: object) -> None:
        joined.calls.before.clear()
        _vanish(joined, "removed")

    joined.calls.before["entries" if work == "scan" else "open_file"] = vanish
    with pytest.raises(RootGone):
        joined.disk.look([LookAt("a", True)]) if work == "look" else joined.disk.scan()
