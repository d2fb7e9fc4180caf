"""What a power cut leaves of a text that was being saved: nothing, or only its beginning.

Pure judgement on texts; whether the power was cut at all is known to whoever asks.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from crdtsync.core.text.align import Budget, align, common_prefix, common_suffix
from crdtsync.core.text.classify import classify
from crdtsync.core.text.diff import apply_edits, diff
from crdtsync.core.text.words import inside_word, words

_TELLING_CHARS: Final = 8
"""Words of one line alone, of at least this many characters in all, do not stand in another by chance, ..."""
_TELLING_NEXT_CHARS: Final = 3
"""... nor do so many, if it is the very line that must come next."""
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""What can stand in a character behind its first byte."""


def looks_torn(base: str, left: str) -> bool:
    """Whether a save on top of ``base`` may have been cut off: it is empty, or ends in the middle of a line.

    A person who did just that while the replica was away, before the machine was started anew, does it again.
    """
    return base != left and (not left or (base.endswith("\n") and not left.endswith("\n")))


def cut_short(base: str, left: str, before: Iterable[str]) -> bool:
    """Whether it is the beginning of ``base``, just as long as one of the texts that were there ``before``.

    So it is where a power cut left the new content of a file that was written in place, and the old length.
    """
    size_bytes = len(left.encode())
    return base.startswith(left) and any(
        len(text.encode()) == size_bytes for text in before if text not in (base, left)
    )


def mended(base: str, left: str) -> str:
    """The text of which only ``left`` was saved, with the end that it lacks taken from ``base``.

    What is missing from the end on was not deleted by anybody.
    """
    at = left.rfind("\n") + 1
    whole, broken = left[:at], left[at:]
    lines, there = base.splitlines(keepends=True), whole.splitlines(keepends=True)
    runs = align(lines, there, Budget())
    known, seen = max(((start + length, at + length) for start, at, length in runs), default=(0, 0))
    lines = lines[known:]
    end = lines[_edited_lines(lines, [*there[seen:], broken]) :]
    if any(line.startswith(broken) for line in end):
        broken = ""
    return whole + broken + ("\n" if broken else "") + "".join(end)


def unspliced(base: str, left: str) -> str:
    """The text that was being saved over ``base`` in its file, where the old one stands from somewhere on.

    The file is as long as before then, so what the save had inserted until there seems to be deleted there,
    or the other way round. That was nobody's edit. Any other text is returned as it is: so is one of which
    lines were moved, or as much was added as taken out.
    """
    old, there = base.encode(), left.encode()
    if len(old) != len(there) or base == left:
        return left
    rest_bytes = common_suffix(old, there, len(there))
    *edits, seam = diff(base, left)
    taken_out = base[seam.start : seam.end]
    either = edits and not (seam.text and taken_out)
    if either and not (taken_out and any(edit.text == taken_out for edit in edits)):
        new = apply_edits(base, edits)
        if common_prefix(new.encode(), there) + rest_bytes >= len(there):
            return new
    at = len(there) - rest_bytes
    before, begun = (each[:at].decode(errors="ignore") for each in (old, there))
    return mended(base, begun) if _is_seam(base, len(before), left, len(begun)) else left


def _is_seam(base: str, at_base: int, left: str, at_left: int) -> bool:
    """Whether two texts of one length, which are the same from there on, are hardly those of an edit.

    Who takes out as much as they write ends with a word, unless it is one word alone, and leaves as many
    lines as before; or moves words about.
    """
    if Counter(base.split()) == Counter(left.split()):
        return False
    if inside_word(base, at_base) or inside_word(left, at_left):
        same = common_prefix(base, left)
        if max(len(words(base[same:at_base])), len(words(left[same:at_left]))) > 1:
            return True
    return base.count("\n") != left.count("\n")


def _edited_lines(lines: Sequence[str], there: Sequence[str]) -> int:
    """How many of the lines come before the end of the last one that is there with something added, or, as a
    whole line, with something taken out.

    That is told by all of its words that are there, if enough of them are in no other line; or if it is the
    very line that must come next, and the one that is there begins with it.
    """
    line_words = [{word for word in words(line) if word[0].isalnum()} for line in lines]
    counts = Counter(word for each in line_words for word in each)
    where = {word: at for at, each in enumerate(line_words) for word in each if counts[word] == 1}
    known = 0
    for line in there:
        if known < len(lines) and _goes_on(lines[known], line):
            known += 1
            continue
        found = {word for word in words(line) if word[0].isalnum()}
        for at in sorted({where[word] for word in found & where.keys()}):
            telling = sum(len(word) for word in line_words[at] & found if word in where)
            enough = _TELLING_NEXT_CHARS if at == known else _TELLING_CHARS
            edited = line_words[at] <= found or (line.endswith("\n") and found <= line_words[at])
            if at >= known and telling >= enough and edited:
                known = at + 1
                break
    return known


def _goes_on(line: str, there: str) -> bool:
    """Whether what is there is the line with something after its last word."""
    text = line.rstrip()
    begins = there.startswith(text) and not inside_word(there, len(text))
    return begins and any(map(str.isalnum, text))  # a bracket begins many lines


def beginning(data: bytes) -> tuple[str | None, int]:
    """The text that a file begins with of which the rest is zeros, or that ends inside a character; or that
    goes on with another one from inside a character, and how many bytes of that one there are.

    None if it is anything else.
    """
    left = data.rstrip(b"\0")
    if b"\0" in left:
        return None, 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(left), 0
    except UnicodeDecodeError as error:
        rest = left[error.end :].lstrip(_CONTINUATION)
        if rest and classify(rest, known_text=True) is not None:
            return left[: error.start].decode(), len(rest)
        return None, 0
