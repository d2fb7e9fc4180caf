"""What a replica brings to a hub that lacks it, and what of that stands there by another already.

Pure judgement on updates. The hub's order tells which of two changes is the later one, and whoever brings
that takes it out again, whoever made it: several who do so delete the same characters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from crdtsync.core.replica.taking_back import found_again, taken_back
from crdtsync.core.replica.unaccepted import Unaccepted
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.needs import with_needed
from crdtsync.core.text.statevector import encode
from crdtsync.core.text.update import check_update
from crdtsync.core.values.late import dataclass

_OTHERS_MAX: Final = 16
"""So many that had a place, or are others', are judged, the last: 60 ms each, of 500 updates and 100 kB."""
_TELLING_CHARS: Final = 8
"""Who inserts fewer at once may be typing, which is meant as it is."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what an update brings into a text stands there by others' updates already.

    ``log`` has all of the text; ``others`` came before the update, or have what it is the rest of
    (``again``).
    """

    update: bytes
    others: Sequence[bytes]
    log: Sequence[bytes]
    again: bool = False

    @property
    def cost(self) -> int:
        """In updates that are made a text, which costs more than to read what they are."""
        return len(self.others) + len(self.log) // 8

    def twice(self) -> bytes:
        """What takes out of a text that has the others what the update brings into it a second time.

        Whoever made it had at least what it builds on. They may have had all that came here before it as
        well, be it the same change; or next to that.
        """
        before = self.log[: self.log.index(self.update)]
        least = with_needed([*before, self.update], [self.update])[:-1]
        most = [update for update in before if update in least or update in self.others]
        return self._made_from(least) or (self._made_from(most) if most != least else b"")

    def _made_from(self, had: Sequence[bytes]) -> bytes:
        """The same, if whoever made it had that of the text."""
        document = TextDocument(0, had)
        text = document.text
        document.apply_update(self.update)
        if document.pending:
            return b""
        step = Unaccepted(text, document.text, self.update, self.update)
        held = _that_can_be([*self.others, *had])
        return found_again(held, step) if self.again else taken_back(held, [step])


class Bringing:
    """What a hub lacks of one text, each update judged against those that have a place there before it.

    ``log`` has all of the text, ``clocks`` are those of the hub. The ``rows`` are brought in this order,
    after all others. Those that had no place yet (``own``) are judged by who made them as others' come.
    """

    def __init__(self, log: Sequence[bytes], rows: Sequence[bytes], clocks: Mapping[int, int]) -> None:
        self._log = log
        self._clocks = clocks
        self._there = clocks
        """What the hub has by now: of what is in one update here, it may have had a part."""
        self.rows = [update for update in rows if not is_held(update, clocks)]
        """What the hub lacks of these."""
        self._waiting = [update for update in self.rows if update in log and _inserted(update)]
        self._placed = [update for update in log if update not in self._waiting]

    @property
    def ended(self) -> bool:
        """Whether all has its place."""
        return not self._waiting

    def first(self) -> bytes | None:
        """All that the hub lacks but the rows; None if they cannot be set apart, or insert nothing."""
        document = TextDocument(0, [update for update in self._log if update not in self.rows])
        first = document.diff_update(encode(self._clocks))
        for update in self.rows:
            document.apply_update(update)
        return first if self._waiting and not document.pending else None

    def held(self, own: Collection[bytes] = ()) -> list[Judgement]:
        """Whether what is brought is what the hub has already, by another."""
        held = self._held()
        return [Judgement(row, held, self._log) for row in self._waiting if row not in own]

    def taken_back(self, own: Sequence[Unaccepted]) -> bytes:
        """What takes out what edits of ours, made one on top of the other, bring that the hub has already: of
        a line that one took out and the next put back no single one tells."""
        ours = [edit.update for edit in own]
        return taken_back(_that_can_be([update for update in self._held() if update not in ours]), own)

    def _held(self) -> list[bytes]:
        return [update for update in self._log if is_held(update, self._clocks) or only_deletes(update)]

    def place(self, update: bytes, own: Collection[bytes], *, ours: bool) -> list[Judgement]:
        """The hub has given this its place; what may stand twice since.

        ``ours``: it was we who brought it. In what others bring nobody can tell what came first.
        """
        ends = with_inserts({}, update)
        self._there = with_inserts(self._there, update)
        there = [row for row in self._waiting if is_held(row, self._there)]
        self._waiting = [row for row in self._waiting if row not in there]
        judged: list[Judgement] = []
        for row in there:
            if row not in own and is_held(row, ends) and tells(row):
                judged.append(Judgement(row, tuple(self._placed), self._log))
            if ours:
                self._placed.append(row)
        self._placed.append(update)
        return judged


def brought(log: Sequence[bytes], own: Sequence[bytes], clocks: Mapping[int, int]) -> Bringing | None:
    """All that a hub lacks of a text, ours first; None if that is ours alone."""
    others = [each for each in log if each not in own and tells(each) and not is_held(each, clocks)]
    return Bringing(log, [*own, *others[-_OTHERS_MAX:]], clocks) if others else None


def _that_can_be(updates: Sequence[bytes]) -> list[bytes]:
    """These, but for mere deletions of what is not there."""
    clocks: dict[int, int] = {}
    for update in updates:
        clocks = with_inserts(clocks, update)
    return [
        update
        for update in updates
        if not only_deletes(update)
        or all(
            clocks.get(client, 0) >= ranges[-1][1] for client, ranges in check_update(update).deletes.items()
        )
    ]


def is_held(update: bytes, clocks: Mapping[int, int]) -> bool:
    """Whether a document with these clocks has all that the update inserts, which is something."""
    inserts = check_update(update).inserts
    return bool(inserts) and all(clocks.get(client, 0) >= ranges[-1][1] for client, ranges in inserts.items())


def with_inserts(clocks: Mapping[int, int], update: bytes) -> dict[int, int]:
    """The clocks of a document with these that has taken in the update, too."""
    ends = {client: ranges[-1][1] for client, ranges in check_update(update).inserts.items()}
    return {client: max(clocks.get(client, 0), ends.get(client, 0)) for client in (*clocks, *ends)}


def tells(update: bytes) -> bool:
    """Whether it inserts more than someone who is typing does at once."""
    return _inserted(update) >= _TELLING_CHARS


def only_deletes(update: bytes) -> bool:
    """Whether it inserts nothing."""
    return not _inserted(update)


def _inserted(update: bytes) -> int:
    """How many characters, or other things, it inserts."""
    return sum(end - start for ranges in check_update(update).inserts.values() for start, end in ranges)
