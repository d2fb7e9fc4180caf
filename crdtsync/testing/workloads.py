"""What people and their tools do to a folder: edits, saves of every kind, renames, deletions; at random.

Each action tells the ledger what its doer had seen and what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from crdtsync.core.text.classify import classify
from crdtsync.core.values.paths import is_below, name, parent
from crdtsync.core.values.reserved import reserved_path
from crdtsync.testing.clock import Trace, shown
from crdtsync.testing.oracles import Ledger
from crdtsync.testing.texts import TEXT_EDITS, edited, line
from crdtsync.testing.virtual_disk import VirtualDisk
from crdtsync.testing.virtual_inodes import NodeKind

NAMES = ("a.md", "b.md", "c.txt", "d.bin", "e")
FOLDERS = ("", "", "x", "y", "x/z")
IGNORE_FILES = (".gitignore", ".crdtsyncignore")
RULES = ("*.txt", "/b.md", "e", "x/*", "y/", "!x/a.md", "*(conflict*")


class Person:
    """One person at one disk. ``actions`` maps the names of what they do to how often."""

    def __init__(
        self,
        name: str,
        rng: Random,
        trace: Trace,
        disk: VirtualDisk,
        ledger: Ledger,
        actions: dict[str, int],
    ) -> None:
        self.name = name
        self._rng = rng
        self._trace = trace
        self._disk = disk
        self.ledger = ledger
        self._actions = actions
        self.done = 0

    def act(self) -> None:
        """Do something; what turns out to be impossible is not done."""
        action = self._rng.choices([*self._actions], [*self._actions.values()])[0]
        self.perform(action)

    def perform(self, action: str) -> None:
        try:
            what = self.deeds()[action]()
        except OSError:
            return
        self.done += 1
        self._trace.note(self.name, f"PERSON {action} {what}")

    def deeds(self) -> dict[str, Callable[[], str]]:
        """What can be done, by name; each says what it did, or raises OSError and has done nothing."""
        return {
            "edit": self._edit,
            "create": self._create,
            "blob": self._blob,
            "link": self._link,
            "delete": self._delete,
            "delete_tree": self._delete_tree,
            "rename": self._rename,
            "rename_over": self._rename_over,
            "rename_folder": self._rename_folder,
            "cycle": self._cycle,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
            "exec": self._exec,
            "retype": self._retype,
            "copy": self._copy,
            "empty": self._empty,
            "ignore": self._ignore,
        }

    def save_racing(self, path: str) -> None:
        """A save in the very instant in which the writer changes the path."""
        node = self._disk.get(path)
        if node is None or node.kind is not NodeKind.FILE or not self._is_text(node.data):
            return
        self._put(path, node.data, self._edited(node.data))
        self._trace.note(self.name, f"PERSON races {path}: {shown(self._disk.nodes[path].data)}")

    def make_way(self, path: str) -> None:
        """What a replica asks for where something that is never shared stands in the way of a file."""
        for each in reversed(self._disk.inside(path)):
            if reserved_path(each) or (self._disk.is_folder(each) and not self._disk.inside(each)):
                self._disk.take(each)
                self._trace.note(self.name, f"PERSON takes away {each}")
        self.ignore_nothing()

    def ignore_nothing(self) -> bool:
        """Takes all ignore files away; returns whether there were any."""
        nodes = self._disk.nodes
        found = [path for path in nodes if name(path) in IGNORE_FILES and not self._disk.is_folder(path)]
        for path in found:
            self.ledger.deleted(self.name, self._disk.nodes[path].data)
            self._disk.take(path)
            self._trace.note(self.name, f"PERSON ignores nothing by {path}")
        return bool(found)

    # -- contents ---------------------------------------------------------------------------------------

    def _token(self) -> str:
        return self.ledger.new_token()

    def _text(self) -> bytes:
        return "".join(line(self._token()) for _ in range(self._rng.randint(1, 5))).encode()

    def _is_text(self, data: bytes) -> bool:
        return classify(data, known_text=True) is not None

    def _edited(self, data: bytes) -> bytes:
        return edited(data, self._rng, self._token, TEXT_EDITS)

    def _put(self, path: str, seen: bytes, data: bytes) -> None:
        """A save in one of the ways that take no time."""
        disk = self._disk
        node = disk.get(path)
        self.ledger.saved(self.name, seen, data)
        if node is not None and node.data != seen:
            self.ledger.overwritten(self.name, node.data, seen, data)
        way = self._rng.randrange(3)
        if node is not None and node.kind is NodeKind.FILE and way:
            disk.write_into(node, data)
        else:
            executable = node is not None and node.executable
            disk.put(path, disk.new_inode(NodeKind.FILE, data, executable))

    # -- choosing ---------------------------------------------------------------------------------------

    def _pick(self, fits: Callable[[str], bool]) -> str:
        found = [path for path in sorted(self._disk.nodes) if not reserved_path(path) and fits(path)]
        if not found:
            raise FileNotFoundError
        return self._rng.choice(found)

    def _pick_text(self) -> str:
        return self._pick(lambda path: self._is_file(path) and self._is_text(self._disk.nodes[path].data))

    def _is_file(self, path: str) -> bool:
        return self._disk.nodes[path].kind is NodeKind.FILE

    def _pick_leaf(self) -> str:
        return self._pick(lambda path: self._disk.nodes[path].kind is not NodeKind.FOLDER)

    def _free_path(self) -> str:
        folder = self._rng.choice(FOLDERS)
        path = f"{folder}/{self._rng.choice(NAMES)}" if folder else self._rng.choice(NAMES)
        if self._disk.get(path) is not None or self._disk.blocked_by(path):
            raise FileExistsError(path)
        if folder:
            self._disk.make_folder(folder)
        return path

    def _move(self, path: str, target: str) -> None:
        self.ledger.moved(self.name, self._disk.nodes[path].data)
        self._disk.rename(path, target)

    # -- deeds ------------------------------------------------------------------------------------------

    def _edit(self) -> str:
        path = self._pick_text()
        seen = self._disk.nodes[path].data
        data = self._edited(seen)
        self._put(path, seen, data)
        return f"{path}: {shown(data)}"

    def _create(self) -> str:
        path = self._free_path()
        shared = self._rng.random() < 0.3
        data = b"the same\nfor all\n" if shared else self._text()
        self._put(path, b"", data)
        return f"{path}: {shown(data)}"

    def _empty(self) -> str:
        path = self._pick_text()
        self._put(path, self._disk.nodes[path].data, b"")
        return path

    def _blob(self) -> str:
        data = b"\0binary " + self._token().encode()
        if self._rng.random() < 0.5:
            path = self._pick(lambda path: self._is_file(path))
            self._put(path, self._disk.nodes[path].data, data)
        else:
            path = self._free_path()
            self._put(path, b"", data)
        return f"{path}: {shown(data)}"

    def _link(self) -> str:
        target = self._token()
        if self._rng.random() < 0.4:
            path = self._pick_leaf()
            self.ledger.deleted(self.name, self._disk.nodes[path].data)
        else:
            path = self._free_path()
        self.ledger.saved(self.name, b"", target.encode())
        self._disk.put(path, self._disk.new_inode(NodeKind.LINK, target.encode()))
        return f"{path} -> {shown(target.encode())}"

    def _delete(self) -> str:
        path = self._pick_leaf()
        self.ledger.deleted(self.name, self._disk.nodes[path].data)
        self._disk.take(path)
        return path

    def _delete_tree(self) -> str:
        folder = self._pick(self._disk.is_folder)
        for path in [*reversed(self._disk.inside(folder)), folder]:
            self.ledger.deleted(self.name, self._disk.nodes[path].data)
            self._disk.take(path)
        return folder

    def _rename(self) -> str:
        path, target = self._pick_leaf(), self._free_path()
        self._move(path, target)
        return f"{path} to {target}"

    def _rename_over(self) -> str:
        path, target = self._pick_leaf(), self._pick_leaf()
        if path == target:
            raise FileExistsError
        self.ledger.deleted(self.name, self._disk.nodes[target].data)
        self.ledger.froze(self._disk.nodes[path].data)  # to the other file's history that is an edit
        self._move(path, target)
        return f"{path} over {target}"

    def _rename_folder(self) -> str:
        path = self._pick(self._disk.is_folder)
        target = self._rng.choice(["x", "y", "v", "w", "x/z", "y/z"])
        if self._disk.get(target) is not None or is_below(target, path) or self._disk.blocked_by(target):
            raise FileExistsError
        if parent(target):
            self._disk.make_folder(parent(target))
        self._disk.rename(path, target)
        return f"{path} to {target}"

    def _cycle(self) -> str:
        """Two or three files change names among each other."""
        leaves = [
            path
            for path in sorted(self._disk.nodes)
            if not self._disk.is_folder(path) and not reserved_path(path)
        ]
        chosen = self._rng.sample(leaves, min(len(leaves), self._rng.choice([2, 2, 3])))
        if len(chosen) < 2:
            raise FileNotFoundError
        self._disk.rename(chosen[-1], chosen[-1] + "~")
        for path, target in zip(reversed(chosen[:-1]), reversed(chosen), strict=False):
            self._move(path, target)
        self._move(chosen[-1] + "~", chosen[0])
        return " ".join(chosen)

    def _mkdir(self) -> str:
        path = self._rng.choice(["x", "y", "v", "x/z", "y/w"])
        if self._disk.get(path) is not None:
            raise FileExistsError
        self._disk.make_folder(path)
        return path

    def _rmdir(self) -> str:
        path = self._pick(lambda path: self._disk.is_folder(path) and not self._disk.inside(path))
        self._disk.take(path)
        return path

    def _exec(self) -> str:
        path = self._pick(self._is_file)
        self._disk.set_executable(path, not self._disk.nodes[path].executable)
        return path

    def _retype(self) -> str:
        """A file becomes a folder with a file in it, or a folder becomes a file."""
        path = self._pick(lambda path: True)
        for each in [*reversed(self._disk.inside(path)), path]:
            self.ledger.deleted(self.name, self._disk.nodes[each].data)
            was_folder = self._disk.is_folder(each)
            self._disk.take(each)
        if was_folder:
            self._put(path, b"", self._text())
        else:
            self._disk.make_folder(path)
            self._put(f"{path}/in.md", b"", self._text())
        return path

    def _ignore(self) -> str:
        folder = self._rng.choice(("", "", "x"))
        path = "/".join(filter(None, (folder, self._rng.choice(IGNORE_FILES))))
        if self._disk.blocked_by(path) or self._disk.is_folder(path):
            raise FileExistsError(path)
        if folder:
            self._disk.make_folder(folder)
        node = self._disk.get(path)
        rules = [rule for rule in RULES if self._rng.random() < 0.3]
        self._put(path, b"" if node is None else node.data, "".join(f"{rule}\n" for rule in rules).encode())
        return f"{path}: {' '.join(rules)}"

    def _copy(self) -> str:
        path, target = self._pick(self._is_file), self._free_path()
        data = self._disk.nodes[path].data
        self.ledger.froze(data)
        self._disk.put(target, self._disk.new_inode(NodeKind.FILE, data))
        return f"{path} as {target}"
