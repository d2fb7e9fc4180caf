"""The watcher: a hint for everything that happens, and word of it when there can be none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, Mask, WatchDescriptor

from crdtsync.adapters import watcher
from crdtsync.adapters.kernel import Entry
from crdtsync.adapters.watcher import GatheringInotify, Watcher
from crdtsync.core.replica.events import Hint, HintKind, HintsLost

from .support import Joined, done

CLOSED, MODIFIED, CREATED, DELETED = (
    HintKind.CLOSED,
    HintKind.MODIFIED,
    HintKind.CREATED,
    HintKind.DELETED,
)


class Scripted(GatheringInotify):
    """Has an event to read after each of these waits, on a clock of its own, and then ends."""

    def __init__(self, waits_s: Sequence[float]) -> None:
        super().__init__()
        self._waits_s = list(waits_s)
        self._now_s = 0.0
        self.handled: list[str] = []

    def monotonic(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += seconds
        self.handled.append("pause")

    def read_events(self, **_: int) -> list[InotifyEvent]:
        self._now_s += self._waits_s.pop(0)
        if not self._waits_s:
            self.stop()
        return [InotifyEvent(WatchDescriptor(1), Mask(0), 0, b"name")]

    def handle_event(self, event: InotifyEvent) -> None:
        self.handled.append("event")


def test_only_a_flood_of_events_is_gathered_before_it_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    saves, flood = [9.0, 0.0, 0.001, 9.0, 0.0, 0.0], [9.0, *[0.001] * 9]
    scripted = Scripted([*saves, *flood, *saves])
    monkeypatch.setattr(watcher, "time", scripted)
    scripted.run()
    assert scripted.handled == [*["event"] * 15, "pause", "event", "pause", *["event"] * 6]


class Watched:
    """A watcher and what it told so far."""

    def __init__(self, joined: Joined, rescan_s: float = 3600.0) -> None:
        self.joined = joined
        self.root = joined.root
        self.hints: list[Hint | HintsLost] = []
        self.late: list[str] = []
        self.notices: list[str] = []
        self._changed = threading.Condition()
        disk = joined.disk
        self.watcher = Watcher(
            disk.tree,
            disk.folder,
            disk.ignores,
            self._into(self.hints),
            self._into(self.late),
            self._into(self.notices),
            rescan_s,
        )

    def _into(self, told: list) -> Callable[[object], None]:  # type: ignore[type-arg]
        def tell(what: object) -> None:
            with self._changed:
                told.append(what)
                self._changed.notify_all()

        return tell

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout=60), (self.hints, self.late, self.notices)

    def until_hint(self, path: str, kind: HintKind) -> None:
        self.until(lambda: Hint(path, kind) in self.hints)

    def all_told(self) -> None:
        """Everything that happened so far has been told: events come in order."""
        name = f"marker {time.monotonic_ns()}"
        (self.root / name).write_text("x")
        self.until_hint(name, CLOSED)

    def paths(self) -> set[str]:
        return {
            hint.path for hint in self.hints if isinstance(hint, Hint) and not hint.path.startswith("marker")
        }


@pytest.fixture
def watched(joined: Joined) -> Iterator[Watched]:
    (joined.root / "d/deep").mkdir(parents=True)
    (joined.root / "d/a").write_text("x")
    watched = Watched(joined)
    watched.watcher.start()
    yield watched
    watched.watcher.stop()


def test_a_save_is_told_when_it_is_written_and_when_it_is_closed(watched: Watched) -> None:
    with (watched.root / "d/a").open("w") as file:
        file.write("new")
        file.flush()
        watched.until_hint("d/a", MODIFIED)
        assert Hint("d/a", CLOSED) not in watched.hints
    watched.until_hint("d/a", CLOSED)


def test_creating_deleting_and_moving_are_told(watched: Watched) -> None:
    (watched.root / "new").write_text("x")
    watched.until_hint("new", CREATED)
    os.rename(watched.root / "new", watched.root / "d/deep/moved")
    watched.until_hint("new", DELETED)
    watched.until_hint("d/deep/moved", CLOSED)
    (watched.root / "d/deep/moved").unlink()
    watched.until_hint("d/deep/moved", DELETED)
    (watched.root / "l").symlink_to("d/a")
    watched.until_hint("l", CREATED)
    os.link(watched.root / "d/a", watched.root / "hard")
    watched.until_hint("hard", CREATED)
    (watched.root / "d/a").chmod(0o755)
    watched.until_hint("d/a", MODIFIED)


def test_a_move_away_is_told_without_waiting_for_its_other_half(watched: Watched, tmp_path: Path) -> None:
    os.rename(watched.root / "d/a", tmp_path / "outside")
    watched.until_hint("d/a", DELETED)
    os.rename(tmp_path / "outside", watched.root / "back")
    watched.until_hint("back", CLOSED)


def test_a_folder_made_deep_at_once_is_watched_and_told_at_its_top(watched: Watched) -> None:
    for turn in range(30):
        os.makedirs(watched.root / f"p{turn}/q/r")
        (watched.root / f"p{turn}/q/r/file").write_text("x")
    for turn in range(30):
        watched.until_hint(f"p{turn}", CREATED)
    watched.all_told()
    for turn in range(30):
        (watched.root / f"p{turn}/q/r/later").write_text("x")
        watched.until_hint(f"p{turn}/q/r/later", CLOSED)


def test_a_folder_that_is_made_again_is_watched_again(watched: Watched) -> None:
    for turn in range(20):
        (watched.root / "d/deep").rmdir()
        (watched.root / "d/deep").mkdir()
        watched.all_told()
        (watched.root / f"d/deep/f{turn}").write_text("x")
        watched.until_hint(f"d/deep/f{turn}", CLOSED)
        (watched.root / f"d/deep/f{turn}").unlink()


def test_a_moved_folder_is_told_under_its_new_name(watched: Watched) -> None:
    for turn in range(10):
        old, new = (("d", "e"), ("e", "d"))[turn % 2]
        os.rename(watched.root / old, watched.root / new)
        watched.all_told()
        assert Hint(old, DELETED) in watched.hints and Hint(new, CREATED) in watched.hints
        (watched.root / new / f"deep/f{turn}").write_text("x")
        watched.until_hint(f"{new}/deep/f{turn}", CLOSED)
    assert not any(path.startswith("d/deep/f0") for path in watched.paths())


def test_two_folders_that_swap_their_names_are_told_right(watched: Watched) -> None:
    (watched.root / "e/deep").mkdir(parents=True)
    watched.all_told()
    root_fd = watched.joined.disk.tree.root_fd
    watched.joined.calls.exchange("d", root_fd, "e", root_fd)
    watched.all_told()
    for name in "de":
        (watched.root / name / "deep/f").write_text("x")
        watched.until_hint(f"{name}/deep/f", CLOSED)


def test_a_folder_from_elsewhere_is_watched(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "outside/deep").mkdir(parents=True)
    os.rename(tmp_path / "outside", watched.root / "inside")
    watched.until_hint("inside", CREATED)
    (watched.root / "inside/deep/f").write_text("x")
    watched.until_hint("inside/deep/f", CLOSED)


def test_links_are_not_followed(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (watched.root / "link").symlink_to(tmp_path / "outside")
    watched.until_hint("link", CREATED)
    (tmp_path / "outside/f").write_text("x")
    watched.all_told()
    assert watched.paths() == {"link"}


def test_reserved_and_ignored_folders_are_not_watched(watched: Watched) -> None:
    before = watched.watcher.watched_folders
    (watched.root / ".gitignore").write_text("build/\n")
    watched.until_hint(".gitignore", CLOSED)
    (watched.root / "build/deep").mkdir(parents=True)
    (watched.root / ".git").mkdir()
    watched.all_told()
    for path in ("build/deep/f", ".git/index", "d/a~", ".crdtsync/state.db"):
        (watched.root / path).write_text("x")
    watched.all_told()
    assert watched.paths() == {".gitignore", "build"}
    assert watched.watcher.watched_folders == before


def test_a_folder_that_is_not_ignored_any_more_is_watched(watched: Watched) -> None:
    (watched.root / ".gitignore").write_text("build/\n")
    watched.until_hint(".gitignore", CLOSED)
    (watched.root / "build/deep").mkdir(parents=True)
    watched.all_told()
    (watched.root / ".gitignore").unlink()
    watched.all_told()
    (watched.root / "build/deep/f").write_text("x")
    watched.until_hint("build/deep/f", CLOSED)


def test_a_late_writer_of_a_displaced_file_is_told(watched: Watched) -> None:
    joined = watched.joined
    with (watched.root / "d/a").open("a") as writer:
        done(joined.write("d/a", "theirs", joined.expected("d/a")))
        assert watched.late == [], "our own writing in staging is no late write"
        writer.write("late")
    watched.until(lambda: bool(watched.late))
    (late,), _ = joined.disk.poll_displaced(joined.clock.now_s, watched.late)
    assert late.path == "d/a"


def test_a_root_that_is_removed_or_moved_is_told(watched: Watched) -> None:
    os.rename(watched.root, watched.root.parent / "elsewhere")
    watched.until(lambda: HintsLost() in watched.hints)
    os.rename(watched.root.parent / "elsewhere", watched.root)


def _overflow(watched: Watched) -> None:
    """Hold the watcher up and make more events than the kernel keeps."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as limit:
        queue = int(limit.read())
    if queue > 100_000:
        pytest.skip(f"this kernel keeps {queue} events")
    (watched.root / "d/x").touch()
    with watched.watcher._lock:
        for turn in range(queue):  # two events each, of which the watcher has read some
            os.rename(watched.root / f"d/x{turn or ''}", watched.root / f"d/x{turn + 1}")
        (watched.root / "d/unseen").mkdir()


def test_an_overflow_of_the_kernels_queue_is_told_and_what_came_meanwhile_is_watched(
    watched: Watched,
) -> None:
    _overflow(watched)
    watched.until(lambda: HintsLost() in watched.hints)
    (watched.root / "d/unseen/f").write_text("x")
    watched.until_hint("d/unseen/f", CLOSED)
    assert watched.hints.count(HintsLost()) == 1, "a scan causes no events, so it cannot loop"


def test_too_few_watches_are_told_and_made_up_for_by_scans(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn in range(5):
        (joined.root / f"d{turn}").mkdir()
    real = InotifyFD.add_callback
    added = 0

    def add_callback(self: InotifyFD, *args: object) -> object:
        nonlocal added
        added += 1
        if added > 4:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(InotifyFD, "add_callback", add_callback)
    watched = Watched(joined, rescan_s=0.02)
    watched.watcher.start()
    watched.until(lambda: watched.hints.count(HintsLost()) > 2)
    (notice,) = watched.notices
    assert "limit" in notice and "max_user_watches" in notice and str(joined.root) in notice
    (joined.root / "f").write_text("x")
    watched.until_hint("f", CLOSED)
    watched.watcher.stop()


def test_without_any_watcher_the_folder_is_scanned(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", staticmethod(refuse))
    watched = Watched(joined, rescan_s=0.02)
    watched.watcher.start()
    watched.until(lambda: watched.hints.count(HintsLost()) > 2)
    assert len(watched.notices) == 1
    watched.watcher.stop()


@pytest.mark.parametrize("inside", ["", "deep"])
def test_a_folder_that_could_not_be_watched_for_a_moment_is_watched_once_it_can_be(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: str
) -> None:
    real, failing = joined.disk.tree.calls.entries, True

    def entries(fd: int) -> Sequence[Entry]:
        found = real(fd)
        if failing and any(entry.name == "marked" for entry in found):
            raise OSError(errno.EIO, "the disk fails for a moment")
        return found

    monkeypatch.setattr(joined.disk.tree.calls, "entries", entries)
    watched = Watched(joined, rescan_s=0.02)
    watched.watcher.start()
    made = tmp_path / "made" / inside
    (made / "below").mkdir(parents=True)
    (made / "marked").write_text("x")
    os.rename(tmp_path / "made", joined.root / "d")
    watched.until_hint("d", CREATED)
    watched.hints.clear()
    failing = False
    watched.until_hint("d/deep" if inside else "d", CREATED)
    (joined.root / "d" / inside / "below/f").write_text("x")
    watched.until_hint(f"d/{inside}/below/f" if inside else "d/below/f", CLOSED)
    watched.watcher.stop()


def test_an_error_while_following_a_change_does_not_end_the_watching(watched: Watched) -> None:
    def fail(path: str) -> None:
        raise RuntimeError("unexpected")

    watched.joined.disk.ignores.invalidate = fail  # type: ignore[method-assign]
    (watched.root / ".gitignore").write_text("x")
    watched.until(lambda: HintsLost() in watched.hints and bool(watched.notices))
    del watched.joined.disk.ignores.invalidate
    watched.all_told()


def test_nothing_is_told_after_stop(watched: Watched) -> None:
    watched.watcher.stop()
    told = list(watched.hints)
    (watched.root / "after").write_text("x")
    assert watched.hints == told
    assert watched.watcher.watched_folders == 0


def test_a_storm_of_folders_made_and_moved_by_others_ends_with_all_of_them_watched(watched: Watched) -> None:
    program = (
        "import os,random\n"
        "rng=random.Random(5)\n"
        "for turn in range(400):\n"
        "    path='/'.join(rng.choice('abc') for _ in range(rng.randint(1,4)))\n"
        "    try:\n"
        "        if rng.random()<.5: os.makedirs(path)\n"
        "        elif rng.random()<.6: os.rename(path, rng.choice('abc')+str(turn))\n"
        "        else: os.removedirs(path)\n"
        "    except OSError: pass\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=watched.root, check=True)
    watched.all_told()
    folders = [path for path in watched.root.rglob("*") if path.is_dir() and ".crdtsync" not in path.parts]
    assert len(folders) > 10
    for folder in folders:
        (folder / "f").write_text("x")
    for folder in folders:
        watched.until_hint((folder / "f").relative_to(watched.root).as_posix(), CLOSED)
    assert watched.watcher.watched_folders == len(folders) + 1
