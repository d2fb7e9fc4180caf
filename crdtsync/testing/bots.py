"""People whose programs use the library: they type, write whole files, make, move and delete.

Their programs have the room in memory (``room_program``) or run in the process of a joined folder
(``folder_program``). Whatever they write bears tokens, and the ledger is told what they had seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final, Protocol

from crdtsync.core.text.diff import Edit
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import encode_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.errors import CrdtsyncError
from crdtsync.testing.clock import Trace, shown
from crdtsync.testing.oracles import Broken, Ledger
from crdtsync.testing.texts import edited, line
from crdtsync.testing.workloads import FOLDERS, NAMES

DEEDS: Final = {
    "type": 5,
    "write": 4,
    "create": 2,
    "folder": 1,
    "move": 2,
    "delete": 1,
    "restart": 1,
}
WITH_BLOBS: Final = {**DEEDS, "blob": 1}
EDITS: Final = ("insert", "insert", "append", "extend", "replace", "delete")
"""Not what formatters do: what a program writes is meant as it is, even if another does the same at once."""
OPEN_MAX: Final = 2


class Program(Protocol):
    """``told``: the texts that it has open, as it was told of their changes. ``open``: it runs."""

    @property
    def told(self) -> Mapping[EntryId, str]: ...

    @property
    def open(self) -> bool: ...

    @property
    def ready(self) -> bool: ...

    def placements(self) -> Iterable[Placement]: ...

    def at(self, path: str) -> Placement | None: ...

    def text(self, entry: EntryId) -> str: ...

    def blob(self, placed: Placement) -> bytes:
        """The content, as far as it can be known."""
        ...

    def open_text(self, placed: Placement) -> None: ...

    def close_text(self, entry: EntryId) -> None: ...

    def edit(self, entry: EntryId, edit: Edit) -> None: ...

    def write(self, path: str, new: Callable[[str], str]) -> None:
        """Have a text hold what is ``new`` after what it holds, or after "" if there is none."""
        ...

    def put_blob(self, path: str, data: bytes) -> None: ...

    def make_folder(self, path: str) -> None: ...

    def move(self, path: str, to: str) -> None: ...

    def delete(self, path: str) -> None: ...

    def settle(self) -> int: ...

    def is_settled(self, number: int) -> bool: ...

    def close(self) -> None: ...


class Bot:
    """One program at a time, which ``start`` makes. ``left`` is called when one has ended, with what nobody
    else had heard of it. ``deeds``: what it does, and how often."""

    def __init__(
        self,
        name: str,
        rng: Random,
        trace: Trace,
        ledger: Ledger,
        start: Callable[[], Program],
        left: Callable[[], None],
        deeds: Mapping[str, int],
    ) -> None:
        self.name = name
        self.done = 0
        self._rng = rng
        self._trace = trace
        self._ledger = ledger
        self._start = start
        self._left = left
        self._deeds = deeds
        self._made: dict[int, bytes] = {}
        """New files, by the number with which they are settled: until then nobody else may know of them."""
        self.program = start()

    def act(self) -> None:
        """Do something; what turns out to be impossible is not done."""
        self.go_on()
        if self.program.ready:
            self.perform(self._rng.choices([*self._deeds], [*self._deeds.values()])[0])

    def go_on(self) -> None:
        """With another program, if the one that there was has ended."""
        if not self.program.open:
            self._restart()

    def take_turn(self) -> None:
        """As ``act``, and the program stays."""
        self.go_on()
        self.perform(self._rng.choice([deed for deed in self._deeds if deed != "restart"]))

    def perform(self, deed: str) -> None:
        try:
            what = getattr(self, f"_{deed}")()
        except CrdtsyncError:
            return
        if what is not None:
            self.done += 1
            self._trace.note(self.name, f"PERSON {deed} {what}")

    def texts(self) -> list[str]:
        """All that it has in memory."""
        if not self.program.open:
            return []
        return [self.program.text(each.entry) for each in self.program.placements() if each.kind is Kind.TEXT]

    def check_told(self) -> None:
        """Raises Broken unless the open texts are what the program was told of them."""
        for entry, told in self.program.told.items():
            if (text := self.program.text(entry)) != told:
                raise Broken("told", f"{self.name} was told {told!r} of {entry[:6]}, which is {text!r}")

    def _restart(self) -> str:
        for number, data in self._made.items():
            if not self.program.is_settled(number):
                self._ledger.deleted(self.name, data)
        self._made.clear()
        self.program.close()
        self._left()
        self.program = self._start()
        return ""

    # -- deeds: what was done, or None; they raise CrdtsyncError where something is in the way -----------

    def _placed(self, *kinds: Kind) -> Placement | None:
        found = [each for each in self.program.placements() if not kinds or each.kind in kinds]
        return self._rng.choice(sorted(found, key=lambda each: each.path)) if found else None

    def _all_at(self, path: str) -> list[Placement]:
        return [each for each in self.program.placements() if f"{each.path}/".startswith(f"{path}/")]

    def _any_path(self) -> str:
        folder, name = self._rng.choice(FOLDERS), self._rng.choice(NAMES)
        return f"{folder}/{name}" if folder else name

    def _data(self, placed: Placement | None) -> bytes:
        """What stands there, as far as it can be known."""
        if placed is None:
            return b""
        if placed.kind is Kind.TEXT:
            return encode_text(self.program.text(placed.entry))
        if placed.version is None:
            return b""
        if placed.version.target is not None:
            return placed.version.target.encode()
        return self.program.blob(placed)

    def _type(self) -> str | None:
        program, placed = self.program, self._placed(Kind.TEXT)
        if placed is None:
            return None
        if placed.entry not in program.told:
            while len(program.told) >= OPEN_MAX:
                program.close_text(next(iter(program.told)))
            program.open_text(placed)
        if placed.entry not in program.told:
            return None  # it opens later
        text, token = program.told[placed.entry], self._ledger.new_token()
        start = self._rng.randint(0, len(text))
        if whole := self._rng.random() < 0.5:
            start = text.rfind("\n", 0, start) + 1
        end = min(len(text), start + self._rng.choice((0, 0, 0, 4)))
        put = line(token) if whole else token
        self._ledger.saved(self.name, text.encode(), f"{text[:start]}{put}{text[end:]}".encode())
        program.edit(placed.entry, Edit(start, end, put))
        return f"{placed.path} {start}..{end} {shown(put.encode())}"

    def _write(self) -> str | None:
        placed = self._placed(Kind.TEXT)
        if placed is None:
            return None

        def new(before: str) -> str:
            after = edited(before.encode(), self._rng, self._ledger.new_token, EDITS)
            self._ledger.saved(self.name, before.encode(), after)
            return after.decode()

        self.program.write(placed.path, new)
        return f"{placed.path}: {shown(self._data(placed))}"

    def _create(self) -> str:
        """Over what is there, if it is no folder."""
        path, data = self._any_path(), line(self._ledger.new_token())
        placed = self.program.at(path)
        seen = b"" if placed is None or placed.kind is Kind.TEXT else self._data(placed)

        def new(before: str) -> str:
            self._ledger.saved(self.name, before.encode(), data.encode())
            return data

        try:
            self.program.write(path, new)
        except CrdtsyncError:
            self._ledger.deleted(self.name, data.encode())  # it may have been told of already
            raise
        self._ledger.deleted(self.name, seen)
        self._made[self.program.settle()] = data.encode()
        return f"{path}: {shown(data.encode())}"

    def _blob(self) -> str:
        data = b"\0of a program " + self._ledger.new_token().encode()
        placed = self._placed(Kind.BLOB, Kind.TEXT)
        path = self._any_path() if placed is None or self._rng.random() < 0.5 else placed.path
        seen = self._data(self.program.at(path))
        self.program.put_blob(path, data)
        self._ledger.saved(self.name, seen, data)
        self._made[self.program.settle()] = data
        return f"{path}: {shown(data)}"

    def _folder(self) -> str:
        path = self._rng.choice(("x", "y", "v", "x/z", "y/w"))
        self.program.make_folder(path)
        return path

    def _move(self) -> str | None:
        placed = self._placed()
        if placed is None:
            return None
        above = placed.path.rpartition("/")[0]
        source, target = placed.path, self._any_path()
        if above and self._rng.random() < 0.3:
            source, target = above, self._rng.choice(("x", "y", "v", "w", "x/z", "y/z"))
        moved = [self._data(each) for each in self._all_at(source)]
        self.program.move(source, target)
        for data in moved:
            self._ledger.moved(self.name, data)
        return f"{source} to {target}"

    def _delete(self) -> str | None:
        placed = self._placed()
        if placed is None:
            return None
        for each in self._all_at(placed.path):
            self._ledger.deleted(self.name, self._data(each))
        self.program.delete(placed.path)
        return placed.path
