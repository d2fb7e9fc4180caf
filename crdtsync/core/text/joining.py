"""Lines of which one side made one line, by deleting the end of one of them: they are merged as one line.

Otherwise who went on in one of them would find it again as a whole, beside the line that it has come to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from crdtsync.core.text.align import Run, common_prefix, common_suffix
from crdtsync.core.text.diff import Edit, diff

_TELLING_CHARS: Final = 4
"""With so many more visible characters of the first line it must begin than with those of the last one, and
end with so many more of the last one; of a short line half of them will do."""
_TORN_MAX_CHARS: Final = 1 << 10
"""So long may the end of a line be that is looked for at the beginning of another one."""
_AROUND_MAX: Final = 16
"""So many lines that are gone are looked at, above and below."""


Living: TypeAlias = Callable[[str, str], Sequence[Run]]
"""Which characters of a line are known to stand in another one, and where; ascending."""


@dataclass(frozen=True, slots=True)
class Version:
    """What one side made of a line of the base; ``text`` is None if it is gone. ``before``: lines that it
    inserted before that one."""

    before: Sequence[str]
    text: str | None


def with_joined(
    was: Sequence[str],
    ours: Sequence[Version],
    theirs: Sequence[Version],
    living: Living | None = None,
) -> tuple[list[str], list[Version], list[Version]]:
    """The lines, and what either side made of them and of the end; lines that one of them joined are one.

    Where the other one wrote in what went with the end of a line, that line is whole again, and so they are
    two: else its beginning would stand twice. What was typed where they were joined begins the second one,
    unless that is whole again. What we inserted between lines that they joined comes after these; what
    they did stays where it is. ``living`` tells of their lines.
    """
    lines, mine, yours = [*was], [*ours], [*theirs]
    for side, other in ((mine, yours), (yours, mine)):
        at = 0 if any(version.text is None for version in side[:-1]) else len(side)  # mostly none is gone
        while at < len(side):
            found = _joined(lines, side, at, living if side is yours else None)
            if found is not None and found.known:
                _move_down(side, at, found.last)
            if found is not None and found.leaves(lines, other, may_move=other is mine):
                if side[at].text is None:
                    side[at] = Version(side[at].before[:-1], None)
                at = found.first
                side[at] = Version(side[at].before, found.line)
                side[at + 1 : found.last + 1] = []
                _make_one(other, at, found.last)
                lines[at : found.last + 1] = ["".join(lines[at : found.last + 1])]
            elif found is not None:
                found.separate(lines, side, other, at)
            at += 1
    return lines, mine, yours


def _make_one(versions: list[Version], first: int, last: int) -> None:
    _move_down(versions, first, last)
    versions[first : last + 1] = [Version(versions[first].before, _texts(versions[first : last + 1]))]


def _move_down(versions: list[Version], first: int, last: int) -> None:
    """What is inserted between the lines comes after them."""
    between = [line for version in versions[first + 1 : last + 1] for line in version.before]
    for at in range(first + 1, last + 1):
        versions[at] = Version([], versions[at].text)
    versions[last + 1] = Version([*between, *versions[last + 1].before], versions[last + 1].text)


def _texts(versions: Sequence[Version]) -> str | None:
    return "".join(version.text or "" for version in versions) or None


@dataclass(frozen=True, slots=True)
class _Part:
    """What is left of one of the lines: its characters from ``head`` to ``tail`` are those of the joined line
    from ``start`` to ``end``, but for what was typed among them."""

    at: int
    head: int
    tail: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Joined:
    """Lines that became one, and what is left of them in it; of others between them nothing is."""

    line: str
    parts: Sequence[_Part]
    torn: bool = False
    """What is left of the first one is its end: someone went on in it while another deleted it."""
    known: bool = False
    """It need not be guessed from how they begin and end."""

    @property
    def first(self) -> int:
        return self.parts[0].at

    @property
    def last(self) -> int:
        return self.parts[-1].at

    def leaves(self, was: Sequence[str], versions: Sequence[Version], *, may_move: bool) -> bool:
        """Whether the other side changed something in the lines, but nothing of what is gone of them.

        ``may_move``: what it inserted between the lines.
        """
        if self.torn:
            return False
        found = versions[self.first : self.last + 1]
        if not may_move and any(version.before for version in found[1:]):
            return False
        starts = [0, *accumulate(map(len, was[self.first : self.last + 1]))]
        edits = diff("".join(was[self.first : self.last + 1]), _texts(found) or "")
        gone = [
            (starts[one.at - self.first] + one.tail, starts[other.at - self.first] + other.head)
            for one, other in pairwise(self.parts)
        ]
        return bool(edits) and all(
            edit.end < start or end < edit.start for edit in edits for start, end in gone
        )

    def separate(
        self, was: Sequence[str], versions: list[Version], others: Sequence[Version], at: int
    ) -> None:
        """Give each its own line again, if the other side wrote in what is gone of them.

        ``at`` is where the joined line stands among the versions.
        """
        written = [_written(was[part.at], others[part.at].text) for part in self.parts]
        each = [*zip(self.parts, written, strict=True)]
        begun = [False, *(any(edit.start <= part.head for edit in edits) for part, edits in each[1:])]
        ended = [*(any(edit.end >= part.tail for edit in edits) for part, edits in each[:-1]), False]
        cut = any(part.head for part, wrote in zip(self.parts, begun, strict=True) if wrote)
        changed = any(others[at].text != was[at] for at in range(self.first, self.last + 1))
        if not (any(ended) or (cut and not self.torn) or (self.known and changed)):
            return
        stood = versions[at]
        versions[at] = Version(stood.before[:-1] if stood.text is None else stood.before, None)
        for part, text in zip(self.parts, self._apart(was, begun, ended), strict=True):
            versions[part.at] = Version(versions[part.at].before, text)

    def _apart(self, was: Sequence[str], begun: Sequence[bool], ended: Sequence[bool]) -> Iterator[str]:
        """The lines, whole again where someone wrote in what is gone of their beginnings or ends."""
        typed = self.line[: self.parts[0].start]
        for index, part in enumerate(self.parts):
            line, after = was[part.at], self.parts[index + 1 :]
            words = _unended(line)
            text = typed + self.line[part.start : part.end]
            if begun[index]:
                text = line[: part.head] + text
            if ended[index]:
                text = words if self.torn else text + words[part.tail :]
            typed = self.line[part.end : after[0].start if after else None]
            if not after or begun[index + 1]:
                text, typed = text + typed, ""
            yield text + line[len(words) :] if after else text


def _written(line: str, version: str | None) -> list[Edit]:
    return [] if version is None else [edit for edit in diff(line, version) if edit.text.strip()]


def _joined(
    was: Sequence[str], versions: Sequence[Version], at: int, living: Living | None
) -> _Joined | None:
    """Whether the version of this line, or the last one that was inserted before it, is made of several."""
    version = versions[at]
    line, before = version.text, version.before
    if line is None and before:
        line, before = before[-1], before[:-1]
    if line is None or line in was[at : at + 1]:
        return None
    low, high = _around(versions, at, first=bool(before))
    if living is not None:
        below = high
        while below < min(len(versions) - 2, at + _AROUND_MAX) and versions[below + 1].text is None:
            below += 1  # what was inserted there comes after a line that has something of it
        found = _of_living(was, line, range(low, below + 1), living)
        if found is not None:
            return found
    if low == high:
        return None
    head, tail = (at, at) if version.text is not None else (high, low)
    heads, tails = range(low, head + 1), range(tail, high + 1)
    return _of_ends(was, line, heads, tails) or _of_ends(was, line, heads, tails, torn=True)


def _of_living(was: Sequence[str], line: str, places: range, living: Living) -> _Joined | None:
    """Of which lines it has characters, with nothing else where they meet."""
    parts = []
    for at in places:
        if runs := living(was[at], line):
            (head, start, _), (last, now, length) = runs[0], runs[-1]
            parts.append(_Part(at, head, last + length, start, now + length))
    between = [(one.end, other.start) for one, other in pairwise(parts)]
    if not between or any(start > end or line[start:end].strip() for start, end in between):
        return None
    return _Joined(line, parts, known=True)


def _around(versions: Sequence[Version], at: int, *, first: bool) -> tuple[int, int]:
    """From which line to which all but this one are gone, with nothing in their place. ``first``: no line
    above is asked for."""
    low = high = at
    while not first and at - _AROUND_MAX < low and low > 0 and versions[low - 1].text is None:
        low -= 1
        first = bool(versions[low].before)
    last = len(versions) - 2  # the end is no line
    while high < min(last, at + _AROUND_MAX) and _is_gone(versions[high + 1]):
        high += 1
    return low, min(high, last)


def _is_gone(version: Version) -> bool:
    return version.text is None and not version.before


def _of_ends(
    was: Sequence[str], line: str, heads: range, tails: range, *, torn: bool = False
) -> _Joined | None:
    """Of which lines it has the beginning and the end, if it is plain that these are two.

    ``torn``: of which it has the end, and then that of another, and nothing else.
    """
    if not heads or not tails:
        return None
    begins = _end_in_front if torn else common_prefix
    first = max(heads, key=lambda at: begins(was[at], line))
    last = max(tails, key=lambda at: _suffix(was[at], line))
    start, end = begins(was[first], line), _suffix(was[last], line)
    if not torn:
        end = min(end, len(line) - start)  # what both have there is of the first one
    middle = line[start : len(line) - end]
    if first >= last or start + end > len(line) or 2 * _visible(middle) > _visible(line):
        return None
    head = _visible(line[:start]) - _visible(line[: common_prefix(was[last], line)])
    tail = _visible(line[len(line) - end :]) - _visible(line[len(line) - _suffix(was[first], line) :])
    if any(
        2 * size < min(2 * _TELLING_CHARS, _visible(was[at])) for at, size in ((first, head), (last, tail))
    ):
        return None
    if torn and (middle.strip() or head < _TELLING_CHARS):
        return None
    at = len(line) - end
    begun = _Part(first, 0, 0 if torn else start, 0, start)
    return _Joined(line, (begun, _Part(last, len(was[last]) - end, len(was[last]), at, len(line))), torn)


def _end_in_front(one: str, other: str) -> int:
    """With how many characters of the end of one line, before its break, another begins."""
    body = _unended(one)
    telling = other[:_TELLING_CHARS]
    at = body.find(telling, max(0, len(body) - min(len(other), _TORN_MAX_CHARS)))
    while at >= 0 and not other.startswith(body[at:]):
        at = body.find(telling, at + 1)
    return len(body) - at if at >= 0 else 0


def _unended(line: str) -> str:
    """Without its end. It may be several lines, which the other side has joined."""
    last = line.splitlines(keepends=True)[-1]
    return line[: len(line) - len(last) + len(last.splitlines()[0])]


def _suffix(one: str, other: str) -> int:
    return common_suffix(one, other, min(len(one), len(other)))


def _visible(text: str) -> int:
    return sum(map(len, text.split()))
