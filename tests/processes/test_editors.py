"""How real tools save: editors, git, archives, logs. Both folders end alike, and nothing else comes of it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from crdtsync.core.values.reserved import reserved_path
from tests.processes.harness import Hub, Joined, assert_same, settle, tree
from tests.processes.test_merge_table import Pair, apart, lines, share
from tests.waiting import DEADLINE_S, eventually

Save = Callable[[Path, str], object]

SAVES = 5


def received(replica: Joined) -> list[tuple[str, str]]:
    """What others did, as this replica has told it: path and what happened to it."""
    return [(e["path"], e["message"]) for e in replica.read() if e.get("event") == "received"]


def attention(replica: Joined) -> list[tuple[str, str]]:
    return [(item["path"], item["kind"]) for item in replica.status()["attention"]]


def shared(folder: Path) -> dict[str, bytes | str | None]:
    """What is in the folder and belongs to the room."""
    return {path: content for path, content in tree(folder).items() if not reserved_path(path)}


def assert_tidy(pair: Pair) -> None:
    """Both folders hold the same, no temporary file has crossed, nothing waits, nothing was trashed."""
    settle(*pair)
    ann, bob = pair
    assert shared(ann.folder) == shared(bob.folder)
    for replica in pair:
        assert replica.command("conflicts") == []
        assert [t for t in replica.command("trash") if t["reason"] != "shortened by others"] == []
        assert attention(replica) == []


def holds(path: Path, text: str) -> bool:
    return path.read_text() == text


def numbered(number: int) -> str:
    return lines((number, f"save number {number}\n"), (19, f"the end of save {number}\n"))


# -- editors --------------------------------------------------------------------------------------------


def vim(*settings: str) -> Save:
    def save(path: Path, text: str) -> None:
        commands = [f"set {setting}" for setting in settings]
        commands += ["%delete _", f"call setline(1, {text.splitlines()!r})", "wq"]
        arguments = [word for command in commands for word in ("-c", command)]
        subprocess.run(
            ["vim", "-N", "-u", "NONE", "-i", "NONE", "-es", *arguments, path.name],
            cwd=path.parent,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE_S,
        )

    return save


def truncate_and_write(path: Path, text: str) -> None:
    """VS Code: open for writing with truncation, write, close."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    data = text.encode()
    for at in range(0, len(data), 64):
        os.write(fd, data[at : at + 64])
    os.close(fd)


def jetbrains(path: Path, text: str) -> None:
    new, old = (path.with_name(f"{path.name}___jb_{which}___") for which in ("tmp", "old"))
    new.write_text(text)
    path.rename(old)
    new.rename(path)
    old.unlink()


def emacs(path: Path, text: str) -> None:
    """The lock link while the buffer is changed, an auto-save, the backup by rename, a new file."""
    lock, auto_save = path.with_name(f".#{path.name}"), path.with_name(f"#{path.name}#")
    lock.symlink_to("ann@laptop.4711:1700000000")
    auto_save.write_text(text[: len(text) // 2])
    path.rename(path.with_name(f"{path.name}~"))
    truncate_and_write(path, text)
    auto_save.unlink()
    lock.unlink()


def gnome(path: Path, text: str) -> None:
    new = path.with_name(".goutputstream-X4K2L1")
    new.write_text(text)
    new.rename(path)


def delete_and_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def rename_aside_and_write(path: Path, text: str) -> None:
    """Older editors: the old file moves aside under a name that nobody ignores, and is removed at the end."""
    aside = path.with_name(f"{path.name}.orig")
    path.rename(aside)
    truncate_and_write(path, text)
    aside.unlink()


def saved_and_formatted(path: Path, text: str) -> None:
    """Format on save: the editor writes, and a moment later the formatter does."""
    truncate_and_write(path, text.replace("line", "LINE"))
    truncate_and_write(path, text)


EDITORS: dict[str, Save] = {
    "vim that renames aside": vim("backupcopy=no", "writebackup"),
    "vim that writes in place": vim("backupcopy=yes", "writebackup"),
    "vim that keeps backups": vim("backup", "swapfile"),
    "VS Code": truncate_and_write,
    "JetBrains": jetbrains,
    "emacs": emacs,
    "gnome": gnome,
    "delete and create": delete_and_create,
    "rename aside": rename_aside_and_write,
    "format on save": saved_and_formatted,
}


def test_every_editor_saves_an_edit_and_nothing_else(pair: Pair) -> None:
    """All editors in one room: each save is an edit there, the file is never removed or made anew."""
    if shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    ann, bob = pair
    names = {editor: f"{editor}.txt" for editor in EDITORS}
    share(pair, {name: lines() for name in names.values()})
    before = len(received(bob))
    for number in range(SAVES):
        wanted = numbered(number)
        for editor, save in EDITORS.items():
            save(ann.folder / names[editor], wanted)
        for name in names.values():
            eventually(partial(holds, bob.folder / name, wanted), f"save {number} of {name}")
    assert_tidy(pair)
    assert set(shared(ann.folder)) == set(names.values())
    assert set(received(bob)[before:]) == {(name, "edited") for name in names.values()}


@pytest.mark.parametrize("editor", ["JetBrains", "delete and create", "emacs", "rename aside"])
def test_a_save_by_another_file_merges_with_a_concurrent_edit(editor: str, hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines(), "b.txt": lines()})

    def ann_saves(folder: Path) -> None:
        EDITORS[editor](folder / "a.txt", lines((2, "Ann was here\n")))

    def bob_saves(folder: Path) -> None:
        (folder / "a.txt").write_text(lines((15, "Bob was here\n")))

    apart(hub, pair, ann_saves, bob_saves)
    wanted = lines((2, "Ann was here\n"), (15, "Bob was here\n"))
    eventually(lambda: (there / "a.txt").read_text() == wanted == (here / "a.txt").read_text(), "both edits")
    assert_tidy(pair)
    assert set(shared(here)) == {"a.txt", "b.txt"}


def test_sed_in_place_is_an_edit(pair: Pair) -> None:
    here, there = share(pair, {f"{n}.txt": lines() for n in range(5)})
    before = len(received(pair[1]))
    for number in range(SAVES):
        files = [str(path) for path in sorted(here.iterdir()) if path.suffix == ".txt"]
        subprocess.run(["sed", "-i", f"s/line {number}$/sed {number}/", *files], check=True)
    wanted = lines(*((number, f"sed {number}\n") for number in range(SAVES)))
    eventually(lambda: all((there / f"{n}.txt").read_text() == wanted for n in range(5)), "sed's edits")
    assert_tidy(pair)
    assert {path for path, what in received(pair[1])[before:] if what == "edited"} == set(shared(there))


# -- git ------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_branches_stashes_and_rebases_arrive_and_leave_git_clean(pair: Pair) -> None:
    ann, bob = pair
    here, there = ann.folder, bob.folder
    git(here, "init", "--quiet")
    for number in range(30):
        (here / f"src/{number % 3}").mkdir(parents=True, exist_ok=True)
        (here / f"src/{number % 3}/{number}.py").write_text(lines((1, f"file {number}\n")))
    (here / "logo.bin").write_bytes(b"\0" + random.Random(1).randbytes(5000))
    git(here, "add", "-A")
    git(here, "commit", "--quiet", "-m", "first")
    git(here, "checkout", "--quiet", "-b", "topic")
    for number in range(0, 30, 4):
        (here / f"src/{number % 3}/{number}.py").write_text(lines((1, f"file {number}\n"), (9, "topic\n")))
    git(here, "mv", "src/1/1.py", "src/2/moved.py")
    git(here, "rm", "--quiet", "src/2/2.py")
    (here / "logo.bin").write_bytes(b"\0" + random.Random(2).randbytes(5000))
    git(here, "add", "-A")
    git(here, "commit", "--quiet", "-m", "topic")
    git(here, "checkout", "--quiet", "main")
    (here / "src/0/0.py").write_text(lines((1, "file 0\n"), (15, "main\n")))
    git(here, "commit", "--quiet", "-am", "main goes on")

    def arrived(step: str) -> None:
        eventually(lambda: shared(here) == shared(there), f"after {step} both hold the same")
        settle(ann, bob)
        assert shared(here) == shared(there), step
        assert git(here, "status", "--porcelain") == "", step

    arrived("the commits")
    for branch in ("topic", "main", "topic"):
        git(here, "checkout", "--quiet", branch)
        arrived(f"checkout {branch}")
    git(here, "rebase", "--quiet", "main")
    arrived("the rebase")
    assert (there / "src/0/0.py").read_text() == lines((1, "file 0\n"), (9, "topic\n"), (15, "main\n"))
    (here / "src/0/3.py").write_text("work in progress\n")
    eventually(lambda: (there / "src/0/3.py").read_text() == "work in progress\n", "the work is there")
    git(here, "stash", "--quiet")
    arrived("the stash")
    git(here, "stash", "pop", "--quiet")
    eventually(lambda: (there / "src/0/3.py").read_text() == "work in progress\n", "the work is back")
    git(here, "checkout", "--quiet", "--", ".")
    arrived("the checkout of all files")
    for quick in ("main", "topic", "main", "topic", "main"):
        git(here, "checkout", "--quiet", quick)
    arrived("five checkouts in a row")
    assert ann.command("conflicts") == bob.command("conflicts") == []
    assert attention(ann) == attention(bob) == []
    assert ann.command("trash") == []


# -- archives and copies --------------------------------------------------------------------------------


def test_copies_with_old_times_and_archives_arrive(pair: Pair, tmp_path: Path) -> None:
    here, there = share(pair, {"a.txt": "new\n", "a.bin": b"\0new"})
    source = tmp_path / "source"
    (source / "deep/er").mkdir(parents=True)
    for name, content in {
        "a.txt": b"old\n",
        "a.bin": b"\0old",
        "deep/er/x.txt": b"x\n",
        "deep/run.sh": b"#!/bin/sh\n",
    }.items():
        (source / name).write_bytes(content)
        os.utime(source / name, (1_000_000_000, 1_000_000_000))
    (source / "deep/run.sh").chmod(0o755)
    (source / "deep/link").symlink_to("er/x.txt")
    subprocess.run(["cp", "-a", f"{source}/.", str(here)], check=True)
    eventually(lambda: tree(there) == tree(source), "the copy is there")
    assert os.access(there / "deep/run.sh", os.X_OK)
    (source / "a.txt").write_text("old too\n")
    (source / "deep/er/y.txt").write_text("y\n")
    os.utime(source / "a.txt", (900_000_000, 900_000_000))
    archive = tmp_path / "source.tar"
    subprocess.run(["tar", "-C", str(source), "-cf", str(archive), "."], check=True)
    subprocess.run(["tar", "-C", str(here), "-xf", str(archive)], check=True)
    eventually(lambda: tree(there) == tree(source), "the archive is there")
    settle(*pair)
    assert tree(here) == tree(there) == tree(source)
    assert {t["path"] for t in pair[1].command("trash")} <= {"a.bin", "a.txt", "deep/link"}
    assert pair[0].command("trash") == pair[0].command("conflicts") == []


def test_new_folders_are_shared_with_what_is_written_into_them_at_once(pair: Pair) -> None:
    here, there = pair[0].folder, pair[1].folder
    for number in range(40):
        folder = here / f"{number}/a/b/c"
        folder.mkdir(parents=True)
        (folder / "x.txt").write_text(f"{number}\n")
        (here / f"{number}/y.bin").write_bytes(b"\0%d" % number)
    eventually(lambda: tree(here) == tree(there), "all of them are there")
    shutil.rmtree(here / "3")
    (here / "3/a").mkdir(parents=True)
    (here / "3/a/again.txt").write_text("again\n")
    eventually(lambda: tree(here) == tree(there), "a folder made anew is watched")
    assert len(tree(there)) == 39 * 6 + 3


def test_an_edit_of_the_same_size_with_its_time_restored_arrives(pair: Pair) -> None:
    here, there = share(pair, {"a.txt": "aaaa\n", "a.bin": b"\0aaaa"})
    for name, content in {"a.txt": b"bbbb\n", "a.bin": b"\0bbbb"}.items():
        status = (here / name).stat()
        (here / name).write_bytes(content)
        os.utime(here / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    eventually(lambda: (there / "a.txt").read_bytes() == b"bbbb\n", "the text is there")
    eventually(lambda: (there / "a.bin").read_bytes() == b"\0bbbb", "the blob is there")


# -- writers that never stop ----------------------------------------------------------------------------


@contextmanager
def running(work: Callable[[int], object], pause_s: float) -> Iterator[list[int]]:
    """Does ``work`` again and again in a thread; the list counts how often."""
    enough = threading.Event()
    done: list[int] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            while not enough.wait(pause_s):
                work(len(done))
                done.append(1)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        enough.set()
        thread.join()
    if failed:
        raise failed[0]


def test_a_log_appended_all_the_time_follows_and_ends_complete(pair: Pair) -> None:
    """One writer keeps the log open, also while it is replaced by what the other side wrote into it."""
    here, there = share(pair, {"app.log": "start\n"})
    with open(here / "app.log", "ab", buffering=0) as log:

        def event(number: int) -> None:
            log.write(f"event {number}\n".encode())

        with running(event, 0.004) as done:
            eventually(lambda: b"event 20\n" in (there / "app.log").read_bytes(), "it follows")
            with open(there / "app.log", "rb+", buffering=0) as other:
                other.write(b"START")
        eventually(lambda: (here / "app.log").read_bytes().startswith(b"START\n"), "the other's edit is here")
        for number in range(len(done), len(done) + 20):
            event(number)
        wanted = "START\n" + "".join(f"event {n}\n" for n in range(len(done) + 20))
        eventually(lambda: (there / "app.log").read_text() == wanted, "all of the log is there")
        eventually(lambda: (here / "app.log").read_text() == wanted, "all of the log is here")
    assert_tidy(pair)


def test_a_log_rotated_by_rename_keeps_every_line_once(pair: Pair) -> None:
    here, there = share(pair, {"app.log": "", "keep.txt": "k\n"})
    written = 0
    for turn in range(3):
        with open(here / "app.log", "a") as log:
            for _ in range(20):
                log.write(f"event {written}\n")
                log.flush()
                written += 1
        for number in range(turn, 0, -1):
            (here / f"app.log.{number}").rename(here / f"app.log.{number + 1}")
        (here / "app.log").rename(here / "app.log.1")
        (here / "app.log").touch()
        eventually(lambda: tree(here) == tree(there), f"rotation {turn} is there")
    assert_tidy(pair)
    whole = "".join((there / f"app.log.{number}").read_text() for number in (3, 2, 1))
    assert whole == "".join(f"event {n}\n" for n in range(60))
    assert (there / "app.log").read_text() == ""


def test_a_log_rotated_by_copy_and_truncation_arrives(pair: Pair) -> None:
    here, there = share(pair, {"app.log": "", "keep.txt": "k\n"})
    with open(here / "app.log", "a") as log:
        for turn in range(3):
            for number in range(20):
                log.write(f"turn {turn} event {number}\n")
            log.flush()
            shutil.copyfile(here / "app.log", here / f"app.log.{turn}")
            os.truncate(here / "app.log", 0)
        log.write("the last line\n")
    eventually(lambda: tree(here) == tree(there), "the rotations are there")
    assert_tidy(pair)
    for turn in range(3):
        assert (there / f"app.log.{turn}").read_text().count(f"turn {turn}") == 20
    assert (there / "app.log").read_text() == "the last line\n"


def test_a_binary_that_a_build_rewrites_all_the_time_ends_alike(pair: Pair) -> None:
    here, there = share(pair, {"program": b"\0start"})
    rng = random.Random(3)
    last: list[bytes] = []

    def build(number: int) -> None:
        data = b"\x7fELF\0" + rng.randbytes(300_000)
        last[:] = [data]
        if number % 3 == 0:
            (here / "program.new").write_bytes(data)
            (here / "program.new").rename(here / "program")
        elif number % 3 == 1:
            (here / "program").unlink()
            (here / "program").write_bytes(data)
        else:
            (here / "program").write_bytes(data)

    with running(build, 0.01) as done:
        eventually(lambda: len(done) > 60, "the build goes on")
    eventually(lambda: tree(there).get("program") == last[0], "the last build is there")
    settle(*pair)
    assert_same(here, there)
    assert set(tree(here)) == {"program"}
    assert pair[0].command("conflicts") == pair[1].command("conflicts") == []
    assert pair[0].command("trash") == []


def test_both_sides_rewrite_one_binary_and_every_folder_ends_alike(pair: Pair) -> None:
    """Nobody's last build is lost: it is in the file, in a conflict copy or in the trash."""
    ann, bob = pair
    share(pair, {"program": b"\0start"})
    rng = random.Random(4)
    last: dict[str, bytes] = {}

    def build(number: int) -> None:
        for replica in pair:
            name = replica.folder.name
            last[name] = b"\0" + name.encode() + rng.randbytes(2_000)
            (replica.folder / "program").write_bytes(last[name])

    with running(build, 0.02) as done:
        eventually(lambda: len(done) > 30, "both go on")
    settle(ann, bob)
    assert_same(ann.folder, bob.folder)
    kept = [content for content in tree(ann.folder).values() if isinstance(content, bytes)]
    for replica in pair:
        kept += [
            path.read_bytes()
            for path in (replica.folder / ".crdtsync/trash").rglob("*")
            if path.is_file() and not path.is_symlink()
        ]
    for name, content in last.items():
        assert content in kept, f"the last build of {name} is lost"
