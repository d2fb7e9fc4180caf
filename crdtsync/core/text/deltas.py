"""Yjs text deltas as edits of the text before, and edits as positions in a text with more than characters.

How a delta comes to be is left to the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from itertools import cycle
from typing import Any, Final, cast

from pycrdt import Text, TextEvent

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.offsets import from_utf8_many, utf8_length


class Deltas:
    """Gathers what transactions change. It tells how it is called, which pycrdt would find out each time."""

    __signature__: Final = signature(lambda event: None)

    def __init__(self) -> None:
        self.seen: list[list[dict[str, Any]]] = []

    def __call__(self, event: TextEvent) -> None:
        self.seen.append(cast(Any, event).delta)  # pycrdt's types do not tell of it


def edits_of(delta: Iterable[Mapping[str, Any]], before: str) -> tuple[Edit, ...] | None:
    """The edits of ``before`` that a delta in UTF-8 bytes, as pycrdt gives it, stands for: ascending.

    None for a delta that is not of plain text. https://quilljs.com/docs/delta describes the form.
    """
    edits: list[list[int]] = []
    texts: list[str] = []
    at_utf8 = 0
    for operation in delta:
        inserted = operation.get("insert")
        kept, deleted = operation.get("retain", 0), operation.get("delete", 0)
        if inserted is not None and not isinstance(inserted, str):
            return None
        at_utf8 += kept
        if kept or not edits:
            edits.append([at_utf8, at_utf8])
            texts.append("")
        texts[-1] += inserted or ""
        edits[-1][1] += deleted
        at_utf8 += deleted
    try:
        offsets = from_utf8_many(before, (offset for edit in edits for offset in edit))
    except ValueError:
        return None  # it counts embedded objects, too
    made = (Edit(offsets[2 * i], offsets[2 * i + 1], text) for i, text in enumerate(texts))
    return tuple(edit for edit in made if edit.text or edit.start < edit.end)


def inserted_ranges(ranges: Iterable[tuple[int, int]], edits: Iterable[Edit]) -> list[tuple[int, int]]:
    """Where characters of earlier ``ranges``, and those that the edits insert, stand after the edits.

    Ranges are ascending and do not overlap, in code points; so is the result. Those that touch stay two, as
    they were inserted.
    """
    pieces: list[tuple[int, int]] = []
    shift = 0
    left = list(ranges)
    for edit in edits:
        while left and left[0][1] <= edit.start:
            start, end = left.pop(0)
            pieces.append((start + shift, end + shift))
        if left and left[0][0] < edit.start:
            start, end = left[0]
            pieces.append((start + shift, edit.start + shift))
            left[0] = (edit.start, end)
        if edit.text:
            pieces.append((edit.start + shift, edit.start + shift + len(edit.text)))
        while left and left[0][0] < edit.end:
            start, end = left.pop(0)
            if end > edit.end:
                left.insert(0, (edit.end, end))
                break
        shift += len(edit.text) - (edit.end - edit.start)
    return [*pieces, *((start + shift, end + shift) for start, end in left)]


def positions(content: Text, text: str, offsets_utf8: Sequence[int]) -> list[int] | None:
    """Positions in the root type, where each embedded object counts 1, of pairs of offsets in its ``text``.

    None if that cannot be told (Yrs does not show every foreign content).
    """
    chunks = [chunk for chunk, _ in content.diff()]
    sizes = [utf8_length(chunk) if isinstance(chunk, str) else 1 for chunk in chunks]
    visible = "".join(chunk for chunk in chunks if isinstance(chunk, str))
    if visible != text or sum(sizes) != len(content):
        return None
    located = []
    for is_end, offset in zip(cycle((False, True)), offsets_utf8, strict=False):
        position = seen = 0
        for chunk, size in zip(chunks, sizes, strict=True):
            if isinstance(chunk, str):
                if offset < seen + size or (offset == seen + size and is_end):
                    position += offset - seen
                    break
                seen += size
            elif offset == seen and is_end:
                break
            position += size
        located.append(position)
    return located
