"""The last line of a text, which may lack its end: it is merged as a line like the others."""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.text.combine import moved, touching_joined
from crdtsync.core.text.diff import Edit, apply_edits, diff


def is_ended(text: str) -> bool:
    """Whether all lines of the text have their end."""
    return not text or text.endswith("\n")


def ended(*texts: str) -> list[str]:
    """The texts with the end that some of their last lines lack, as the other lines have it."""
    end = "\r\n" if any("\r\n" in text for text in texts) else "\n"
    return [text if is_ended(text) else text + end for text in texts]


def end_undone(base: str, ours: str, theirs: str, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Edits of ``theirs`` as it is that do what ``edits`` do to it with its end, as ``ended`` gave it."""
    _, mine, yours = ended(base, ours, theirs)
    result = apply_edits(yours, edits)
    if not _keeps_end(base, (ours, mine), (theirs, yours), result):
        result = result.removesuffix("\r\n" if result.endswith("\r\n") else "\n")
    before = [edit for edit in edits if edit.end < len(theirs)]
    at = before[-1].end if before else 0
    shift = sum(len(edit.text) - (edit.end - edit.start) for edit in before)
    return tuple(touching_joined([*before, *moved(diff(theirs[at:], result[at + shift :]), at)]))


def _keeps_end(base: str, ours: tuple[str, str], theirs: tuple[str, str], result: str) -> bool:
    """Whether the last line of the merge is ended: as whoever wrote it has it, or changed that."""
    if not ours[0] or not theirs[0]:
        return is_ended(ours[0] or theirs[0])
    is_ours, is_theirs = (_last_line(result) == _last_line(whole) for _, whole in (ours, theirs))
    if is_ours is not is_theirs:
        return is_ended(ours[0] if is_ours else theirs[0])
    return is_ended(theirs[0] if is_ended(ours[0]) is is_ended(base) else ours[0])


def _last_line(text: str) -> str:
    return text[text.rfind("\n", 0, -1) + 1 :]
