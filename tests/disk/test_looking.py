"""Looks and scans: every kind of thing at a path, what cannot be read, and that both tell the same."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from crdtsync.adapters.contents import CHANGING, TOO_LARGE
from crdtsync.adapters.filesystem import fingerprint_of
from crdtsync.adapters.looker import GLANCE_MAX_BYTES
from crdtsync.adapters.scanner import NESTED, refuse_nested
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import ScannedFolder
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import (
    Absent,
    BlobContent,
    Fingerprint,
    Folder,
    LinkContent,
    Present,
    TextContent,
    Unchanged,
    Unreadable,
    Unshareable,
)
from crdtsync.errors import FolderError

from .support import Joined, digest

_REPOSITORY = Path(__file__).parents[2]
IGNORED = Unshareable("ignored")


def test_a_text_is_read_with_its_exact_characters(joined: Joined) -> None:
    data = "\ufeffone\r\ntwo\nthree é 🙂".encode()
    (joined.root / "a").write_bytes(data)
    (joined.root / "a").chmod(0o755)
    seen = joined.look("a")
    assert isinstance(seen, Present)
    assert seen.content == TextContent(data.decode(), digest_of(data))
    assert seen.fingerprint.size_bytes == len(data) and seen.fingerprint.executable
    assert seen.fingerprint == joined.disk.scan().files["a"]


def test_an_empty_file_is_an_empty_text(joined: Joined) -> None:
    (joined.root / "a").touch()
    seen = joined.look("a")
    assert isinstance(seen, Present) and seen.content == TextContent("", digest(""))


@pytest.mark.parametrize("data", [b"\0", b"\xff\xfe", b"text \xc3"])
def test_what_is_no_text_is_a_blob(joined: Joined, data: bytes) -> None:
    (joined.root / "a").write_bytes(data)
    seen = joined.look("a")
    assert isinstance(seen, Present) and isinstance(seen.content, BlobContent)
    assert (seen.content.digest, seen.content.manifest.size_bytes) == (digest_of(data), len(data))


def test_a_large_text_is_one_only_if_it_was_one_before(joined: Joined) -> None:
    data = b"x" * (limits.TEXT_BECOMES_MAX_BYTES + 1)
    (joined.root / "a").write_bytes(data)
    kinds = []
    for known in (True, False):
        ((_, seen),) = joined.disk.look([LookAt("a", known)])
        assert isinstance(seen, Present) and seen.content.digest == digest_of(data)
        kinds.append(type(seen.content))
    assert kinds == [TextContent, BlobContent]


def test_a_file_above_the_limit_stays_here(joined: Joined) -> None:
    with (joined.root / "huge").open("wb") as file:
        file.truncate(limits.BLOB_MAX_BYTES + 1)
    assert joined.look("huge") == Unshareable(TOO_LARGE)
    assert joined.disk.scan().unshareable == {"huge": TOO_LARGE}


def test_nothing_at_a_path_is_certain_only_where_the_folders_above_can_be_read(joined: Joined) -> None:
    (joined.root / "file").write_text("x")
    (joined.root / "link").symlink_to("file")
    (joined.root / "elsewhere").mkdir()
    (joined.root / "elsewhere/a").write_text("x")
    (joined.root / "to").symlink_to("elsewhere")
    for path in ("a", "no/such/a", "file/a", "link/a", "to/a"):
        assert joined.look(path) == Absent(), path


def test_links_inside_are_read_and_never_followed(joined: Joined) -> None:
    (joined.root / "d").mkdir()
    (joined.root / "d/l").symlink_to("../target é")
    seen = joined.look("d/l")
    assert isinstance(seen, Present)
    assert seen.content == LinkContent("../target é", digest("../target é"))
    scan = joined.disk.scan()
    assert scan.links == {"d/l": seen.fingerprint} and scan.files == {}


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../../x",
        "..",
        ".git/config",
        "../.crdtsync/lock",
        "a/../../../x",
        "/",
        "x/../y",
        "../.GIT",
    ],
)
def test_links_that_lead_out_stay_here(joined: Joined, target: str) -> None:
    (joined.root / "d").mkdir()
    link = joined.root / "d/l" if target != ".." else joined.root / "l"
    link.symlink_to(target)
    path = link.relative_to(joined.root).as_posix()
    seen = joined.look(path)
    assert isinstance(seen, Unshareable) and "stays here only" in seen.reason
    assert joined.disk.scan().unshareable == {path: seen.reason}


def test_a_link_to_a_name_that_is_not_utf8_stays_here(joined: Joined) -> None:
    os.symlink(b"\xff", os.fsencode(joined.root / "l"))
    assert joined.look("l") == Unshareable("a link whose target is not UTF-8: stays here only")


def test_special_files_are_never_opened(joined: Joined) -> None:
    os.mkfifo(joined.root / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(joined.root / "socket"))
    opened: list[str] = []
    joined.calls.before["open_file"] = lambda name, fd: opened.append(name)
    joined.calls.before["open"] = lambda name, *_: opened.append(name)
    assert joined.look("fifo") == Unshareable("a named pipe: stays here only")
    assert joined.look("socket") == Unshareable("a socket: stays here only")
    assert joined.disk.scan().unshareable.keys() == {"fifo", "socket"}
    server.close()
    if os.geteuid() == 0:
        os.mknod(joined.root / "null", 0o600 | 0o020000, os.makedev(1, 3))
        assert joined.look("null") == Unshareable("a device: stays here only")
    assert not {"fifo", "socket", "null"} & set(opened)


def test_a_fifo_that_takes_the_place_of_a_file_at_the_last_moment_holds_nothing_up(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("x")

    def swap(name: str, dir_fd: int) -> None:
        if name == "a":
            joined.calls.before.clear()
            path.unlink()
            os.mkfifo(path)

    joined.calls.before["open_file"] = swap
    assert joined.look("a") == Unshareable("a named pipe: stays here only")


def test_a_file_that_changes_while_it_is_read_is_read_again(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")

    def change(fd: int, size_bytes: int) -> None:
        joined.calls.after.clear()
        path.write_text("two, longer")

    joined.calls.after["read"] = change
    seen = joined.look("a")
    assert isinstance(seen, Present) and seen.content.digest == digest("two, longer")


def test_a_file_replaced_while_it_is_read_is_read_again(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")

    def replace(fd: int, size_bytes: int) -> None:
        joined.calls.after.clear()
        (joined.root / "b~").write_text("two")
        os.rename(joined.root / "b~", path)

    joined.calls.after["read"] = replace
    seen = joined.look("a")
    assert isinstance(seen, Present) and seen.content.digest == digest("two")


def test_a_file_that_never_stops_changing_is_no_guess(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("")

    def append(fd: int, size_bytes: int) -> None:
        with path.open("a") as file:
            file.write("more\n")

    joined.calls.before["read"] = append
    assert joined.look("a") == CHANGING


@pytest.mark.parametrize("code", [5, 13, 116])
def test_what_cannot_be_read_is_never_absent(joined: Joined, code: int) -> None:
    (joined.root / "d").mkdir()
    (joined.root / "d/a").write_text("x")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    joined.calls.instead["open_file"] = fail
    assert isinstance(joined.look("d/a"), Unreadable)
    joined.calls.instead.clear()

    def fail_below(name: str, dir_fd: int | None = None) -> int:
        if name == "d":
            fail()
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)

    joined.calls.instead["open_folder"] = fail_below
    assert isinstance(joined.look("d/a"), Unreadable)
    assert isinstance(joined.look("d/not there"), Unreadable)
    scan = joined.disk.scan()
    assert scan.unreadable.keys() == {"d"} and "d" not in scan.folders


_AS_NOBODY = """
import os, sys
from crdtsync.adapters.disk import Disk
from crdtsync.core.replica.effects import LookAt
os.setgid(65534)
os.setuid(65534)
disk = Disk(sys.argv[1], "notes")
for path, seen in disk.look([LookAt(path, True) for path in ("secret", "closed/a", "closed", "dark/a")]):
    print(path, type(seen).__name__)
scan = disk.scan()
print(sorted(scan.unreadable), sorted(scan.files))
"""


def test_files_and_folders_without_permission_are_unreadable() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to become another user")
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for folder in (root / "closed", root / "dark"):
            folder.mkdir()
        for file in ("secret", "closed/a", "dark/a", "open"):
            (root / file).write_text("x")
        for path in (root, *root.rglob("*")):
            os.chown(path, 65534, 65534)
        (root / "secret").chmod(0)
        (root / "closed").chmod(0)
        (root / "dark").chmod(0o100)
        ran = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, directory], capture_output=True, text=True, cwd=_REPOSITORY
        )
    assert ran.stdout.splitlines() == [
        "secret Unreadable",
        "closed/a Unreadable",
        "closed Unreadable",
        "dark/a Unreadable",
        # A scan lists names and sizes, for which a file need not be readable.
        "['closed', 'dark'] ['open', 'secret']",
    ], ran.stderr


@pytest.mark.parametrize("name", [b"\xff", b"caf\xe9.txt"])
def test_names_that_are_not_utf8_stay_here(joined: Joined, name: bytes) -> None:
    (joined.root / "d").mkdir()
    with open(os.fsencode(joined.root / "d") + b"/" + name, "w"):
        pass
    path = "d/" + os.fsdecode(name)
    assert joined.look(path) == Unshareable("its name is not UTF-8; rename it")
    scan = joined.disk.scan()
    assert scan.unshareable == {path: "its name is not UTF-8; rename it"}
    assert scan.folders == {"d": ScannedFolder(empty=False)}


def test_folders_too_deep_to_share_stay_here(joined: Joined) -> None:
    deep = "/".join(["d"] * (limits.PATH_MAX_DEPTH + 3))
    (joined.root / deep).mkdir(parents=True)
    scan = joined.disk.scan()
    assert len(scan.folders) == limits.PATH_MAX_DEPTH
    assert list(scan.unshareable) == ["/".join(["d"] * (limits.PATH_MAX_DEPTH + 1))]


def test_a_folder_that_holds_only_what_is_never_shared_is_not_empty_but_for_litter(joined: Joined) -> None:
    for path in ("empty", "litter", "sub/below", "file", "link", "fifo", "ignored"):
        (joined.root / path).mkdir(parents=True)
    (joined.root / "litter/.DS_Store").write_text("x")
    (joined.root / "file/a").write_text("x")
    (joined.root / "link/l").symlink_to("/etc")
    os.mkfifo(joined.root / "fifo/p")
    (joined.root / "ignored/a.o").write_text("x")
    (joined.root / ".gitignore").write_text("*.o\n")
    empty = {"empty": True, "litter": True, "sub": False, "sub/below": True, "file": False}
    empty |= {"link": False, "fifo": False, "ignored": False}
    assert {path: joined.look(path) for path in empty} == {path: Folder(each) for path, each in empty.items()}
    assert joined.disk.scan().folders == {path: ScannedFolder(each) for path, each in empty.items()}


def test_ignored_paths_are_not_scanned_and_never_absent(joined: Joined) -> None:
    (joined.root / ".gitignore").write_text("build/\n*.o\n")
    for folder in ("build/deep", ".git"):
        (joined.root / folder).mkdir(parents=True)
    for file in ("build/deep/a", "a.o", ".git/config", "kept"):
        (joined.root / file).write_text("x")
    assert set(joined.disk.scan().files) == {".gitignore", "kept"}
    for path in ("build", "build/deep/a", "build/gone", "a.o", "gone.o", ".git/config", ".crdtsync/lock"):
        assert joined.look(path) == IGNORED, path
    assert joined.look("build.txt") == Absent()


def test_a_changed_ignore_file_counts_for_the_look_that_sees_it(joined: Joined) -> None:
    (joined.root / "a.o").write_text("x")
    assert isinstance(joined.look("a.o"), Present)
    (joined.root / ".gitignore").write_text("*.o\n")
    (_, first), (_, second) = joined.disk.look([LookAt("a.o", False), LookAt(".gitignore", True)])
    assert first == IGNORED and isinstance(second, Present)


def test_a_scan_below_a_folder_tells_of_that_folder_alone(joined: Joined) -> None:
    for path in ("a/b", "c"):
        (joined.root / path).mkdir(parents=True)
        (joined.root / path / "f").write_text("x")
    scan = joined.disk.scan("a")
    assert set(scan.files) == {"a/b/f"}
    assert set(scan.folders) == {"a", "a/b"}
    for path in ("gone", "c/f", ".git"):
        assert joined.disk.scan(path).files == {}


def test_another_joined_folder_inside_is_left_alone_and_refused_by_a_join(joined: Joined) -> None:
    (joined.root / "d/inner/.crdtsync").mkdir(parents=True)
    (joined.root / "d/inner/f").write_text("x")
    scan = joined.disk.scan()
    assert scan.unshareable == {"d/inner": NESTED} and scan.files == {}
    assert joined.look("d/inner") == Unshareable(NESTED)
    assert joined.look("d/inner/f") == IGNORED
    assert joined.disk.scan("d/inner").files == {}
    with pytest.raises(FolderError, match="d/inner inside it is joined"):
        refuse_nested(scan, joined.disk.directory)


def test_hard_links_are_two_files(joined: Joined) -> None:
    (joined.root / "a").write_text("x")
    os.link(joined.root / "a", joined.root / "b")
    assert set(joined.disk.scan().files) == {"a", "b"}


def _later(path: Path, fingerprint: Fingerprint) -> Fingerprint:
    """The fingerprint of a file whose content is older than its place in the folder."""
    os.utime(path, ns=(fingerprint.mtime_ns, fingerprint.mtime_ns - 1_000_000_001))
    found = fingerprint_of(path.lstat())
    assert found.tells_writes
    return found


def test_a_file_that_is_known_for_certain_is_not_read_again(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    known = _later(path, fingerprint_of(path.lstat()))
    opened: list[object] = []
    joined.calls.before["open_file"] = lambda name, _: opened.append(name)
    assert joined.disk.look([LookAt("a", True, known)]) == (("a", Unchanged(known)),)
    assert "a" not in opened
    os.utime(path)
    ((_, seen),) = joined.disk.look([LookAt("a", True, known)])
    assert isinstance(seen, Present) and "a" in opened


def test_a_file_whose_times_tell_no_write_is_read_again_though_it_seems_the_same(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    known = fingerprint_of(path.lstat())
    assert known.mtime_ns == known.ctime_ns and not known.tells_writes
    ((_, seen),) = joined.disk.look([LookAt("a", True, known)])
    assert isinstance(seen, Present)
    whole_seconds = known._replace(mtime_ns=1_000_000_000, ctime_ns=5_000_000_000)
    assert not whole_seconds.tells_writes, "such a file system may have long ticks"


def test_a_glance_reads_small_files_alone_and_leaves_all_else_to_a_look(joined: Joined) -> None:
    for name, size in (("small", GLANCE_MAX_BYTES), ("large", GLANCE_MAX_BYTES + 1), (".gitignore", 1)):
        (joined.root / name).write_bytes(b"x" * size)
    (joined.root / "folder").mkdir()
    (joined.root / "link").symlink_to("small")
    assert joined.disk.glance(LookAt("small", True)) == joined.look("small")
    for name in ("large", ".gitignore", "folder", "link", "nowhere", "folder/nowhere", "small/er", "../up"):
        assert joined.disk.glance(LookAt(name, True)) is None


def test_a_glance_does_not_read_what_is_on_another_file_system(joined: Joined) -> None:
    (joined.root / "a").write_text("a")

    def elsewhere(name: str, dir_fd: int | None = None) -> os.stat_result:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        on_another = dir_fd is not None  # the folder itself is where it was
        return os.stat_result((*found[:2], found.st_dev + on_another, *found[3:]))

    joined.calls.instead["lstat"] = elsewhere
    assert joined.disk.glance(LookAt("a", True)) is None


def test_a_glance_leaves_a_folder_that_may_be_gone_to_a_look(joined: Joined) -> None:
    (joined.root / "a").write_text("a")

    def unreadable(path: str) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    joined.calls.instead["stat"] = unreadable
    assert joined.disk.glance(LookAt("a", True)) is None
    del joined.calls.instead["stat"]
    moved = joined.root.with_name("moved")
    joined.calls.before["read"] = lambda *_: joined.root.rename(moved)
    assert joined.disk.glance(LookAt("a", True)) is None
    joined.root.mkdir()
    assert joined.disk.glance(LookAt("a", True)) is None
