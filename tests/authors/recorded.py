"""What each of two recorded authors had before them at each moment, character by character.

Every character typed gets a mark, a code point of its own, to tell it from others that look alike. Knows the
recording only: nothing of documents, disks and replicas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from crdtsync.core.text.diff import Edit
from tests.traces import Recording

FIRST_MARK = 0x20000
"""Far above all that people type here."""
START = chr(FIRST_MARK)
"""The mark before the first character."""


@dataclass(frozen=True, slots=True)
class Insertion:
    """``after`` is the mark that stood before it when it was typed."""

    mark: str
    after: str
    character: str


@dataclass(frozen=True, slots=True)
class Deletion:
    mark: str


class View:
    """The text that somebody has before them, who has seen some of the transactions.

    They come in any order in which they may have happened. No two authors ever inserted at the same place at
    the same time, so the mark before an insertion tells where it belongs.
    """

    def __init__(self) -> None:
        self.text = ""
        self._marks = START
        """Of the characters of ``text``, after the first."""
        self._ever = START
        """With those that were deleted."""

    def operation(self, position: int, deleted: int, inserted: str, mark: str) -> Insertion | Deletion:
        """What it means to edit the present text so: one character in, or one out."""
        if deleted:
            assert deleted == 1 and not inserted
            return Deletion(self._marks[position + 1])
        assert len(inserted) == 1
        return Insertion(mark, self._marks[position], inserted)

    def take(self, operation: Insertion | Deletion) -> Edit | None:
        """Returns what it does to ``text``; None if somebody else has deleted that character before."""
        match operation:
            case Insertion(mark, after, character):
                ever = self._ever.index(after) + 1
                self._ever = self._ever[:ever] + mark + self._ever[ever:]
                at = self._marks.find(after) + 1
                while not at:
                    ever -= 1
                    at = self._marks.find(self._ever[ever - 1]) + 1
                self._marks = self._marks[:at] + mark + self._marks[at:]
                edit = Edit(at - 1, at - 1, character)
            case Deletion(mark):
                at = self._marks.find(mark)
                if at < 0:
                    return None
                self._marks = self._marks[:at] + self._marks[at + 1 :]
                edit = Edit(at - 1, at, "")
        self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]
        return edit


@dataclass(frozen=True, slots=True)
class Moment:
    """One transaction. ``sees``: how many transactions of the other its author had seen.

    ``own``: how many of the author's own come before it.
    """

    author: int
    own: int
    sees: int
    operation: Insertion | Deletion


@dataclass(frozen=True, slots=True)
class Run:
    """Transactions of one author in a row: nothing new seen within, and only the last seen by the other."""

    author: int
    moments: tuple[Moment, ...]

    @property
    def sees(self) -> int:
        return self.moments[0].sees


class Recorded:
    """The transactions as moments, in an order in which they may have happened."""

    def __init__(self, recording: Recording) -> None:
        assert not recording.start
        self.end = recording.end
        self.moments: list[Moment] = []
        self._of: tuple[list[Moment], list[Moment]] = ([], [])
        views = (View(), View())
        known: list[tuple[int, int]] = []
        """Of each transaction: how many of each author's it includes, itself with them."""
        for index, transaction in enumerate(recording.transactions):
            author, other = transaction.agent, 1 - transaction.agent
            seen_by = [known[parent] for parent in transaction.parents]
            before = [max((each[who] for each in seen_by), default=0) for who in (0, 1)]
            own = len(self._of[author])
            assert before[author] == own, "an author has always seen what they did themselves"
            seen = self._of[author][-1].sees if own else 0
            for newly in self._of[other][seen : before[other]]:
                views[author].take(newly.operation)
            (patch,) = transaction.patches
            mark = chr(FIRST_MARK + 1 + index)
            operation = views[author].operation(patch.position, patch.deleted, patch.inserted, mark)
            views[author].take(operation)
            moment = Moment(author, own, before[other], operation)
            self.moments.append(moment)
            self._of[author].append(moment)
            before[author] += 1
            known.append((before[0], before[1]))

    def of(self, author: int) -> list[Moment]:
        """One author's moments."""
        return self._of[author]

    def runs(self) -> Iterator[Run]:
        """The moments, joined as far as nobody could tell."""
        looked_at = [{moment.sees for moment in self._of[1]}, {moment.sees for moment in self._of[0]}]
        """Of each author: how many of their transactions the other had seen when looking."""
        gathered: list[list[Moment]] = [[], []]
        for moment in self.moments:
            author = moment.author
            gathered[author].append(moment)
            following = self._of[author][moment.own + 1 : moment.own + 2]
            if moment.own + 1 in looked_at[author] or not following or following[0].sees != moment.sees:
                yield Run(author, tuple(gathered[author]))
                gathered[author] = []

    def together(self, rng: Random) -> Iterator[Run]:
        """Each moment by itself, in another order in which they may have happened: both at it always."""
        done = [0, 0]
        while any(done[who] < len(self._of[who]) for who in (0, 1)):
            following = [self._of[who][done[who]] for who in (0, 1) if done[who] < len(self._of[who])]
            moment = rng.choice([each for each in following if each.sees <= done[1 - each.author]])
            done[moment.author] += 1
            yield Run(moment.author, (moment,))

    def keystrokes(self) -> Iterator[Run]:
        """Each moment by itself."""
        for moment in self.moments:
            yield Run(moment.author, (moment,))
