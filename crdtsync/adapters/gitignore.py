"""The patterns of one gitignore-style file, with git's semantics; which files hold them is up to ``ignores``.

Patterns come from the room, so from anyone: each is turned into a regular expression that never backtracks
over more than one ``*`` (atomic groups), and so cannot be made to hang a replica.
Source: gitignore(5), and ``dir.c`` and ``wildmatch.c`` of git 2.39 for what the manual leaves open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from crdtsync.core.values.late import dataclass

_STAR = "*"
_FOLDERS = "**/"
_ALL = "/**"
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\v\\f\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


class _NeverMatches(ValueError):
    """git accepts such a pattern and matches nothing with it."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: str
    negative: bool
    folders_only: bool
    by_name: bool
    """Matched against the last name alone: the pattern has no slash."""


@dataclass(frozen=True, slots=True)
class _Alternatives:
    """Patterns as one regular expression, last pattern first, one group each."""

    regex: re.Pattern[str]
    order: tuple[tuple[int, bool], ...]
    """By group: the number of the pattern in its file, and whether it ignores."""

    def last_match(self, text: str) -> tuple[int, bool] | None:
        found = self.regex.fullmatch(text)
        return None if found is None or found.lastindex is None else self.order[found.lastindex - 1]


class PatternFile:
    """The compiled lines of one file. Names are matched as bytes, as git does."""

    __slots__ = ("_by_name", "_by_path")

    def __init__(self, data: bytes) -> None:
        patterns = list(_patterns(data.removeprefix(b"\xef\xbb\xbf")))
        self._by_name = tuple(
            _alternatives(patterns, by_name=True, is_dir=is_dir) for is_dir in (False, True)
        )
        self._by_path = tuple(
            _alternatives(patterns, by_name=False, is_dir=is_dir) for is_dir in (False, True)
        )

    def __bool__(self) -> bool:
        return self._by_name[True] is not None or self._by_path[True] is not None

    def decides(self, path: str, name: str, is_dir: bool) -> bool | None:
        """True: ignored, False: explicitly not ignored, None: no pattern matches.

        ``path`` is relative to the file's folder, ``name`` is its last part; both may hold surrogate escapes.
        """
        by_name, by_path = self._by_name[is_dir], self._by_path[is_dir]
        if not path.isascii():
            path, name = _as_bytes(path), _as_bytes(name)
        first = by_name.last_match(name) if by_name is not None else None
        second = by_path.last_match(path) if by_path is not None else None
        if first is None or second is None:
            only = first or second
            return None if only is None else only[1]
        return max(first, second)[1]


def _as_bytes(text: str) -> str:
    return os.fsencode(text).decode("latin-1")


def _alternatives(patterns: list[_Pattern], *, by_name: bool, is_dir: bool) -> _Alternatives | None:
    chosen = [
        (number, pattern)
        for number, pattern in enumerate(patterns)
        if pattern.by_name == by_name and (is_dir or not pattern.folders_only)
    ]
    if not chosen:
        return None
    chosen.reverse()
    regex = re.compile("|".join(f"({pattern.regex})" for _, pattern in chosen), re.DOTALL)
    return _Alternatives(regex, tuple((number, not pattern.negative) for number, pattern in chosen))


def _patterns(data: bytes) -> Iterator[_Pattern]:
    for raw in data.split(b"\n"):
        line = _without_trailing_spaces(raw.removesuffix(b"\r").decode("latin-1"))
        if not line or line.startswith("#") or "\0" in line:
            continue
        negative = line.startswith("!")
        glob = line[negative:]
        folders_only = glob.endswith("/")
        glob = glob[: len(glob) - folders_only]
        by_name = "/" not in glob
        glob = glob.removeprefix("/")
        if not glob:
            continue
        try:
            regex = _regex(list(_tokens(glob)))
        except _NeverMatches:
            continue
        yield _Pattern(regex, negative, folders_only, by_name)


def _without_trailing_spaces(line: str) -> str:
    end = len(line)
    while end and line[end - 1] == " ":
        end -= 1
    escapes = end - len(line[:end].rstrip("\\"))
    return line[: end + 1] if end < len(line) and escapes % 2 else line[:end]


def _tokens(glob: str) -> Iterator[str]:
    """_STAR, _FOLDERS, _ALL, or a regular expression of exactly one character."""
    at, end = 0, len(glob)
    while at < end:
        char = glob[at]
        if char == "*":
            after = at
            while after < end and glob[after] == "*":
                after += 1
            whole_part = after - at > 1 and (at == 0 or glob[at - 1] == "/")
            if whole_part and after == end:
                yield _ALL
            elif whole_part and glob[after] == "/":
                yield _FOLDERS
                after += 1
            else:
                yield _STAR
            at = after
        elif char == "?":
            yield "[^/]"
            at += 1
        elif char == "[":
            at, regex = _bracket(glob, at + 1)
            yield regex
        elif char == "\\":
            if at + 1 == end:
                raise _NeverMatches(glob)
            yield re.escape(glob[at + 1])
            at += 2
        else:
            yield re.escape(char)
            at += 1


def _bracket(glob: str, at: int) -> tuple[int, str]:
    """The regular expression of the bracket that opened just before ``at``, and where it ends."""

    def char_at(position: int) -> str:
        if position >= len(glob):
            raise _NeverMatches(glob)
        return glob[position]

    negated = char_at(at) in "!^"
    at += negated
    ranges: list[str] = []
    previous = ""
    first = True
    while first or char_at(at) != "]":
        first = False
        char = char_at(at)
        if char == "\\":
            at += 1
            previous = char_at(at)
            ranges.append(re.escape(previous))
        elif char == "-" and previous and char_at(at + 1) != "]":
            at += 1
            if char_at(at) == "\\":
                at += 1
            if previous <= char_at(at):
                ranges.append(f"{re.escape(previous)}-{re.escape(char_at(at))}")
            previous = ""
        elif char == "[" and char_at(at + 1) == ":":
            close = glob.find("]", at + 2)
            if close < 0:
                raise _NeverMatches(glob)
            if glob[close - 1] != ":" or close - 1 < at + 2:
                ranges.append(re.escape(char))
                previous = char
            else:
                named = glob[at + 2 : close - 1]
                if named not in _CLASSES:
                    raise _NeverMatches(glob)
                ranges.append(_CLASSES[named])
                at = close
                previous = ""
        else:
            ranges.append(re.escape(char))
            previous = char
        at += 1
    inside = "".join(ranges)
    if negated:
        return at + 1, f"[^/{inside}]"
    return at + 1, f"(?!/)[{inside}]" if inside else "(?!)"


def _regex(tokens: list[str]) -> str:
    """A regular expression for ``fullmatch``.

    Between two ``**/``, and between two ``*`` of one part, the leftmost match is as good as any other, so it
    is taken for good; only what follows the last one is matched with backtracking.
    """
    groups: list[list[str]] = [[]]
    for token in tokens:
        if token == _FOLDERS:
            groups.append([])
        else:
            groups[-1].append(token)
    parts = [_part(groups[0], last=len(groups) == 1)]
    for number, group in enumerate(groups[1:], start=2):
        last = number == len(groups)
        inner = f"(?:[^/]+/)*?{_part(group, last=last)}"
        parts.append(inner if last else f"(?>{inner})")
    return "".join(parts)


def _part(tokens: list[str], *, last: bool) -> str:
    chunks: list[str] = [""]
    for token in tokens:
        if token == _STAR:
            chunks.append("")
        else:
            chunks[-1] += ".+" if token == _ALL else token
    regex = chunks[0]
    for number, chunk in enumerate(chunks[1:], start=2):
        free = last and number == len(chunks)
        regex += f"[^/]*{chunk}" if free else f"(?>[^/]*?{chunk})"
    return regex
