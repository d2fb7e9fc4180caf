"""People who work on a real folder with real tools, at random, and the ledger of what they had seen.

The tools that change a text are in ``savers``. What decides who loses what is done while the replica is held
still, so that what a person saw is what their tool found; the rest races the replica.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

from crdtsync.core.text.classify import classify
from crdtsync.core.values.reserved import reserved_name
from crdtsync.testing.oracles import Ledger
from crdtsync.testing.texts import TEXT_EDITS, edited, line, undisputed
from crdtsync.testing.tokens import TOKEN, token_name
from tests.torture.machines import Machine
from tests.torture.savers import RACING, STILL

NAMES: Final = ("a.md", "b.md", "c.txt", "d.bin", "e")
FOLDERS: Final = ("", "", "x", "y", "x/z")
PROJECT: Final = "proj"
"""Has a git repository of one person, and so stays where it is."""
DEEDS: Final[dict[str, int]] = {
    "save": 30, "race": 12, "create": 8, "blob": 6, "copy": 3, "link": 2, "executable": 2, "delete": 3,
    "delete_tree": 1, "rename": 4, "rename_over": 2, "rename_folder": 2, "mkdir": 1, "branch": 2, "slow": 3,
    "load": 10, "save_stale": 10,
}  # fmt: skip


class SharedLedger(Ledger):
    """Several threads draw tokens from it."""

    def __init__(self) -> None:
        super().__init__()
        self._drawing = threading.Lock()

    def new_token(self) -> str:
        with self._drawing:
            return super().new_token()


class Person:
    """One person at one folder, in a thread of their own. ``deeds`` counts what was done."""

    def __init__(
        self, name: str, folder: Path, rng: Random, ledger: Ledger, machine: Machine, pause_s: float
    ) -> None:
        self.name = name
        self.folder = folder
        self.done: dict[str, int] = {}
        self.error: BaseException | None = None
        self._rng = rng
        self._ledger = ledger
        self._diary = machine.log.with_suffix(".diary")
        self._machine = machine
        self._pause_s = pause_s
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._branches = 0
        self._buffers: dict[Path, bytes] = {}
        self._unseen: dict[Path, list[bytes]] = {}
        """What stale buffers were saved over: who loads such a save knows nothing of it."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is begun. Raises what went wrong."""
        self._enough.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._enough.wait(self._rng.uniform(0, 2 * self._pause_s)):
                self.act()
        except BaseException as error:
            self.error = error

    def act(self) -> None:
        """Do something; what turns out to be impossible is not done."""
        deed = self._rng.choices([*DEEDS], [*DEEDS.values()])[0]
        try:
            self._table()[deed]()
        except OSError as error:
            self._note(f"{deed} failed: {error}")
        else:
            self.done[deed] = self.done.get(deed, 0) + 1
            self._note(f"{deed} done")

    def _note(self, what: object) -> None:
        """A line for whoever looks for the cause of what a round broke."""
        now = datetime.now()
        with open(self._diary, "a") as diary:
            diary.write(f"{now:%H:%M:%S.%f} {what}\n")

    def _note_change(self, seen: bytes, left: bytes) -> None:
        before, after = (" ".join(map(token_name, TOKEN.findall(data))) for data in (seen, left))
        self._note(f"  saw {before} and left {after}")

    def _table(self) -> dict[str, Callable[[], None]]:
        return {
            "save": self._save,
            "race": self._race,
            "load": self._load,
            "save_stale": self._save_stale,
            "slow": self._slow,
            "create": self._create,
            "blob": self._blob,
            "copy": self._copy,
            "link": self._link,
            "executable": self._executable,
            "delete": self._delete,
            "delete_tree": self._delete_tree,
            "rename": self._rename,
            "rename_over": self._rename_over,
            "rename_folder": self._rename_folder,
            "mkdir": self._mkdir,
            "branch": self._branch,
        }

    # -- looking ----------------------------------------------------------------------------------------

    def _walk(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        for at, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not reserved_name(name))
            yield Path(at), folders, sorted(name for name in files if not reserved_name(name))

    def _pick(self, found: list[Path]) -> Path:
        if not found:
            raise FileNotFoundError
        chosen = self._rng.choice(found)
        self._note(f"  picks {chosen.relative_to(self.folder)}")
        return chosen

    def _files(self) -> list[Path]:
        found = [at / name for at, _, files in self._walk() for name in files]
        return [path for path in found if path.is_file() and not path.is_symlink()]

    def _leaves(self) -> list[Path]:
        """Files and links, but none of the project's, which belong to git."""
        found = [at / name for at, _, files in self._walk() for name in files]
        links = [at / name for at, folders, _ in self._walk() for name in folders if (at / name).is_symlink()]
        return [path for path in [*found, *links] if PROJECT not in path.relative_to(self.folder).parts]

    def _folders(self) -> list[Path]:
        found = [at / name for at, folders, _ in self._walk() for name in folders]
        return [path for path in found if path.name != PROJECT and not path.is_symlink()]

    def _text(self) -> tuple[Path, bytes]:
        path = self._pick(self._files())
        data = path.read_bytes()
        if classify(data, known_text=True) is None:
            raise FileNotFoundError
        return path, data

    def _free(self) -> Path:
        folder = self.folder / self._rng.choice(FOLDERS)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self._rng.choice(NAMES)
        if os.path.lexists(path):
            raise FileExistsError
        self._note(f"  takes {path.relative_to(self.folder)}")
        return path

    def _seen(self, path: Path) -> bytes:
        """What stands there, a link's target or a file's bytes."""
        return os.readlink(os.fsencode(path)) if path.is_symlink() else path.read_bytes()

    def _token(self) -> str:
        token = self._ledger.new_token()
        self._note(f"  writes {token_name(token.encode())}")
        return token

    def _lines(self) -> bytes:
        return "".join(line(self._token()) for _ in range(self._rng.randint(1, 5))).encode()

    # -- texts ------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Load and save in one instant: the replica is held still meanwhile."""
        with self._machine.still():
            path, seen = self._text()
            way = self._rng.choice(STILL)
            self._note(f"  by {way.__name__}")
            data = edited(seen, self._rng, self._token, TEXT_EDITS)
            try:
                way(path, data)
            finally:  # a disk that is full leaves what it leaves
                left = path.read_bytes() if path.exists() else b""
                self._note_change(seen, left)
                self._ledger.saved(self.name, seen, left)

    def _race(self) -> None:
        """Put one line into a text while the replica does what it does."""
        path, seen = self._text()
        token = self._token()
        way = self._rng.choice(RACING)
        self._note(f"  by {way.__name__}")
        if way(path, line(token), self._rng.randint(1, max(1, seen.count(b"\n")))):
            self._ledger.saved(self.name, b"", token.encode())
            # The tool wrote what it found as well: whoever writes over that here takes it back from the tool.
            self._ledger.moved(self.name, seen)

    def _load(self) -> None:
        """An editor loads a file, to save it some time later."""
        path, seen = self._text()
        self._buffers[path] = seen

    def _save_stale(self) -> None:
        """Save a line more than was loaded, where its neighbours are still neighbours."""
        path = self._pick([path for path in self._buffers if path.is_file() and not path.is_symlink()])
        with self._machine.still():
            seen, there = self._buffers.pop(path), path.read_bytes()
            if classify(there, known_text=True) is None:
                raise FileNotFoundError  # an editor asks, and its person says no
            lines = seen.decode().splitlines(keepends=True)
            self._unseen.setdefault(path, []).append(there)
            old = seen.decode().splitlines()
            free = [set(undisputed(old, each.decode().splitlines())) for each in self._unseen[path]]
            places = sorted(set.intersection(*free))
            if not places:
                raise FileNotFoundError
            at = self._rng.choice(places)
            data = "".join([*lines[:at], line(self._token()), *lines[at:]]).encode()
            way = self._rng.choice(STILL)
            self._note(f"  by {way.__name__}")
            try:
                way(path, data)
            finally:
                left = path.read_bytes() if path.exists() else b""
                self._note_change(seen, left)
                self._ledger.saved(self.name, seen, left)
                self._ledger.overwritten(self.name, there)

    def _slow(self) -> None:
        """Truncate, think, write into the file that was opened, wherever it stands by then."""
        with self._machine.still():
            path, seen = self._text()
            data = edited(seen, self._rng, self._token, ("insert", "append", "replace"))
            writer = os.open(path, os.O_WRONLY | os.O_TRUNC)
            self._ledger.saved(self.name, seen, data)
        try:
            self._enough.wait(self._rng.uniform(0, 0.2))
            os.write(writer, data)
        except OSError:
            self._ledger.deleted(self.name, data)
        finally:
            os.close(writer)

    def _create(self) -> None:
        path = self._free()
        data = b"the same\nfor all\n" if self._rng.random() < 0.3 else self._lines()
        with self._machine.still(), open(path, "xb") as file:
            file.write(data)
            file.flush()
            self._ledger.saved(self.name, b"", data)

    # -- bytes, links, modes ----------------------------------------------------------------------------

    def _blob(self) -> None:
        """Bytes that are no text, sometimes over a file that is there, sometimes of many chunks."""
        size = self._rng.choice([10, 3000, 400_000])
        data = b"\0binary " + self._token().encode() + bytes(self._rng.choices(range(128), k=size))
        aside = self.folder / f".#{self.name}"
        with self._machine.still():
            replaces = self._rng.random() < 0.5
            path = self._pick(self._files()) if replaces else self._free()
            seen = path.read_bytes() if replaces else b""
            self._put(aside, path, data)
            self._ledger.saved(self.name, seen, data)

    def _put(self, aside: Path, path: Path, data: bytes) -> None:
        try:
            aside.write_bytes(data)
            aside.rename(path)
        finally:
            aside.unlink(missing_ok=True)

    def _copy(self) -> None:
        source, target = self._pick(self._files()), self._free()
        with self._machine.still():
            if target.exists():
                raise FileExistsError
            try:
                _tool("cp", source, target)
            except OSError:
                target.unlink(missing_ok=True)
                raise

    def _link(self) -> None:
        path, token = self._free(), self._token()
        path.symlink_to(token)
        self._ledger.saved(self.name, b"", token.encode())

    def _executable(self) -> None:
        _tool("chmod", self._rng.choice(["+x", "-x"]), self._pick(self._files()))

    # -- names ------------------------------------------------------------------------------------------

    def _delete(self) -> None:
        with self._machine.still():
            path = self._pick(self._leaves())
            seen = self._seen(path)
            _tool("rm", "-f", path)
            self._ledger.deleted(self.name, seen)

    def _delete_tree(self) -> None:
        with self._machine.still():
            folder = self._pick(self._folders())
            inside = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
            seen = [self._seen(path) for path in inside]
            _tool("rm", "-rf", folder)
            for data in seen:
                self._ledger.deleted(self.name, data)

    def _rename(self) -> None:
        path, target = self._pick(self._leaves()), self._free()
        seen = self._seen(path)
        _tool("mv", "-nT", path, target)
        if not os.path.lexists(path):
            self._ledger.moved(self.name, seen)

    def _rename_over(self) -> None:
        with self._machine.still():
            path, target = self._pick(self._leaves()), self._pick(self._leaves())
            if path == target:
                raise FileExistsError
            seen, lost = self._seen(path), self._seen(target)
            _tool("mv", "-fT", path, target)
            self._ledger.deleted(self.name, lost)
            self._ledger.moved(self.name, seen)

    def _rename_folder(self) -> None:
        path = self._pick(self._folders())
        target = self.folder / self._rng.choice(["x", "y", "v", "w", "x/z", "y/z"])
        self._note(f"  to {target.relative_to(self.folder)}")
        if os.path.lexists(target) or not target.parent.is_dir() or path in target.parents:
            raise FileExistsError
        _tool("mv", "-nT", path, target)

    def _mkdir(self) -> None:
        _tool("mkdir", "-p", self.folder / self._rng.choice(["x", "y", "v", "x/z", "y/w"]))

    # -- git --------------------------------------------------------------------------------------------

    def _branch(self) -> None:
        """Commit what there is, then change it on a branch, or go back to another."""
        project = self.folder / PROJECT
        with self._machine.still():
            if not (project / ".git").is_dir():
                if self.name != "ann":
                    raise FileNotFoundError
                project.mkdir(exist_ok=True)
                _git(project, "init", "-q")
            before = {path: path.read_bytes() for path in project.glob("*") if path.is_file()}
            _git(project, "add", "-A")
            _git(project, "commit", "-q", "--allow-empty", "-m", "work")
            names = _git(project, "branch", "--format=%(refname:short)").split()
            if len(names) < 3 or self._rng.random() < 0.3:
                self._branches += 1
                _git(project, "checkout", "-q", "-b", f"branch{self._branches}")
                path = project / self._rng.choice(NAMES)
                path.write_bytes((path.read_bytes() if path.exists() else b"") + self._lines())
            else:
                _git(project, "checkout", "-q", self._rng.choice(names))
            after = {path: path.read_bytes() for path in project.glob("*") if path.is_file()}
            for path in before.keys() | after.keys():
                self._ledger.saved(self.name, before.get(path, b""), after.get(path, b""))


def _git(project: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "gc.auto=0")
    return _tool("git", *settings, "-C", project, *arguments)


def _tool(*command: str | Path) -> str:
    """Run a tool. Raises OSError when it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{shutil.which(str(command[0]))} {done.stderr.strip()}")
    return done.stdout
