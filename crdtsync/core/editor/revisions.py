"""What one editor shows of one text, kept in step with a text that others edit at the same time.

Editors never transform anything: they count. They apply an edit of ours only if it names the number of edits
that they have made, and name in each of theirs how many of ours they have applied. See
docs/decisions/0018-editor-revisions.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter

from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.transform import inverse, transform
from crdtsync.core.values import limits


class RevisionError(ValueError):
    """The editor names a number of edits that it cannot have applied."""


class TooFarBehind(Exception):
    """The editor has not answered for so long that no more is kept for it."""


@dataclass(frozen=True, slots=True)
class Told:
    """One edit as the editor is told: of ``before``, valid once it has made ``revision`` edits."""

    revision: int
    edit: Edit
    before: str


@dataclass(frozen=True, slots=True)
class _Untaken:
    """An edit that the editor may not have applied. ``removed`` is what it took away."""

    edit: Edit
    removed: str
    from_disk: bool


class Revisions:
    """``text`` is what the editor shows once it has applied all that it was told."""

    def __init__(self, shown: str) -> None:
        self.text = shown
        self.edits_made = 0
        """By the editor, counting those that were refused."""
        self.edits_told = 0
        """Of ours, as the editor counts those that it applied."""
        self.shown = shown
        """What the editor showed after its last edit."""
        self._untaken: deque[_Untaken] = deque()

    def told(self, edits: Sequence[Edit], *, from_disk: bool = False) -> list[Told]:
        """The text was edited by others; returns what to tell, one edit each. Raises TooFarBehind."""
        if len(self._untaken) + len(edits) > limits.EDITS_UNTAKEN_MAX:
            raise TooFarBehind
        # from the last to the first, so that each leaves the offsets of the others as they are
        return [self._tell(edit, from_disk) for edit in reversed(edits)]

    def shown_at(self, revision: int) -> str:
        """What the editor shows that has applied ``revision`` of our edits, and made all of its own.

        Raises RevisionError.
        """
        behind = self.edits_told - revision
        if not 0 <= behind <= len(self._untaken):
            raise RevisionError(
                f"revision {revision} cannot be: {self.edits_told} edits were sent, and of the last "
                f"{len(self._untaken)} it is not known that they were applied"
            )
        text = self.text
        for untaken in islice(reversed(self._untaken), behind):
            start, end = untaken.edit.start, untaken.edit.start + len(untaken.edit.text)
            text = text[:start] + untaken.removed + text[end:]
        return text

    def edited(self, revision: int, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """The editor made ``edits`` of what ``shown_at(revision)`` tells; returns them as edits of ``text``.

        ``text`` has them afterwards; ``again`` tells what the editor has to hear again. Raises RevisionError.
        """
        shown = self.shown_at(revision)
        behind = self.edits_told - revision
        untaken = [self._untaken.pop() for _ in range(behind)]
        self._untaken.clear()
        self.edits_told = revision
        self.text = self.shown = apply_edits(shown, edits)
        made = tuple(edit for edit in edits if edit.text or edit.end > edit.start)
        for from_disk, group in groupby(reversed(untaken), attrgetter("from_disk")):
            crossed = [each.edit for each in group]
            if from_disk:
                shown, made = self._meets_disk(shown, crossed, made)
                continue
            for edit in crossed:
                shown = apply_edits(shown, (edit,))
                theirs = transform((edit,), made, first=True)
                made = transform(made, (edit,), first=False)
                for each in reversed(theirs):
                    self._tell(each, from_disk=False)
        return made

    def _meets_disk(
        self, shown: str, saved: Iterable[Edit], made: Sequence[Edit]
    ) -> tuple[str, tuple[Edit, ...]]:
        """What the disk had of ``shown`` meets what the editor made of it: a save of this very edit may have
        come before it, which is not made twice. Returns the text that was saved, and the edits of that.
        """
        after = shown
        for edit in saved:
            after = apply_edits(after, (edit,))
        made = rebase(shown, apply_edits(shown, made), after)
        for edit in reversed(diff(self.text, apply_edits(after, made))):
            self._tell(edit, from_disk=True)
        return after, made

    def count(self) -> None:
        """The editor made an edit, whatever becomes of it."""
        self.edits_made += 1

    def refused(self, made: Sequence[Edit], before: str) -> None:
        """What ``edited`` returned, edits of ``before``, is not to be: the editor has to take it back."""
        for edit in reversed(inverse(made, before)):
            self._tell(edit, from_disk=False)

    def again(self) -> list[Told]:
        """All that the editor may not have applied, as it is to be told now."""
        texts = []
        text = self.text
        for untaken in reversed(self._untaken):
            start, end = untaken.edit.start, untaken.edit.start + len(untaken.edit.text)
            text = text[:start] + untaken.removed + text[end:]
            texts.append(text)
        return [
            Told(self.edits_made, untaken.edit, before)
            for untaken, before in zip(self._untaken, reversed(texts), strict=True)
        ]

    def _tell(self, edit: Edit, from_disk: bool) -> Told:
        before = self.text
        self._untaken.append(_Untaken(edit, before[edit.start : edit.end], from_disk))
        self.edits_told += 1
        self.text = before[: edit.start] + edit.text + before[edit.end :]
        return Told(self.edits_made, edit, before)


def ascending(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits in order. Raises ValueError if two of them overlap."""
    ordered = tuple(sorted(edits, key=lambda edit: (edit.start, edit.end)))
    at = 0
    for edit in ordered:
        if edit.start < at:
            raise ValueError("two of the ranges overlap")
        at = edit.end
    return ordered
