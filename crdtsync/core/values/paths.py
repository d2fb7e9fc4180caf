"""Room-relative paths: what is a valid one, and the names derived for conflict copies."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from crdtsync.core.values import limits
from crdtsync.core.values.ids import person_name, printable
from crdtsync.core.values.reserved import REPOSITORY_FOLDERS, reserved_path
from crdtsync.errors import InvalidName

_SPELLING = re.compile(
    r"(?P<stem>.+) \(other spelling, (?P<identity>[0-9a-f]{8})\)(?P<extension>\..*)?", re.DOTALL
)

_PLAIN_NAME_MAX_CHARS: Final = 60
_PLAIN_NAME = re.compile(
    rf"(?=.{{1,{_PLAIN_NAME_MAX_CHARS}}}\Z)(?!4913|thumbs|desktop)"
    r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.(?!sw.\Z)[a-z0-9]+)*\Z",
    re.IGNORECASE | re.ASCII,
)
"""Names that are surely valid ones, and of which ``core.values.reserved`` keeps none out."""


def path_problem(text: str) -> str | None:
    """Why ``text`` is not a valid path of a room, or None if it is one."""
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    if not text:
        return "it is empty"
    if "\0" in text:
        return "it holds a NUL"
    if len(encoded) > limits.PATH_MAX_BYTES:
        return f"it is {len(encoded)} bytes long, above {limits.PATH_MAX_BYTES}"
    parts = text.split("/")
    if len(parts) > limits.PATH_MAX_DEPTH:
        return f"it is {len(parts)} folders deep, above {limits.PATH_MAX_DEPTH}"
    for part in parts:
        if part in ("", ".", ".."):
            return f"it has a part {part!r}"
        if len(part) > limits.NAME_MAX_BYTES // 4 and len(part.encode("utf-8")) > limits.NAME_MAX_BYTES:
            return f"the name {printable(part, 40)!r} is longer than {limits.NAME_MAX_BYTES} bytes"
    return None


def enters_room(path: str) -> bool:
    """Whether ``path`` is a valid one of a room, with no name that stays out of rooms."""
    folder, slash, last = path.rpartition("/")
    if _PLAIN_NAME.match(last) is not None and (not slash or _takes_plain_names(folder)):
        return True  # as nearly all do
    return path_problem(path) is None and not reserved_path(path)


@lru_cache(maxsize=256)
def _takes_plain_names(folder: str) -> bool:
    """Whether every plain name in the folder makes a path that enters a room."""
    longest = len(folder.encode("utf-8", "replace")) + 1 + _PLAIN_NAME_MAX_CHARS
    fits = longest <= limits.PATH_MAX_BYTES and folder.count("/") + 2 <= limits.PATH_MAX_DEPTH
    return fits and path_problem(folder) is None and not reserved_path(folder)


def check_path(path: str) -> None:
    """Raises InvalidName for what cannot be the path of a file of a room."""
    problem = path_problem(path)
    if problem is not None:
        raise InvalidName(f"{printable(path)!r} cannot be a path in a room: {problem}")
    if reserved_path(path):
        raise InvalidName(
            f"{printable(path)} has a name that never enters a room (editors' and tools' own files)"
        )


def parent(path: str) -> str:
    """The folder of ``path``; the root is the empty string."""
    return path.rpartition("/")[0]


def parents(path: str) -> list[str]:
    """The folders above ``path``, innermost first, without the root."""
    return list(folders_above(path))


def folders_above(path: str) -> tuple[str, ...]:
    """The same, kept for the last few folders: their files come one after the other."""
    folder = path.rpartition("/")[0]
    return _up_from(folder) if folder else ()


@lru_cache(maxsize=256)
def _up_from(folder: str) -> tuple[str, ...]:
    found = []
    while folder:
        found.append(folder)
        folder = parent(folder)
    return tuple(found)


def name(path: str) -> str:
    return path.rpartition("/")[2]


def is_below(path: str, folder: str) -> bool:
    """Whether ``path`` is inside ``folder`` (not the folder itself); everything is below the root ``""``."""
    return path.startswith(folder + "/") if folder else bool(path)


def conflict_path(path: str, by: str, identity: str) -> str:
    """``stem (conflict of NAME, 3f9a2c1d).ext``, with the stem shortened so that the name fits 255 bytes."""
    folder, _, file_name = path.rpartition("/")
    tagged = _tagged(file_name, f"conflict of {person_name(by)}, {identity[:8]}")
    return f"{folder}/{tagged}" if folder else tagged


def spelling_name(name: str, identity: str) -> str:
    """``stem (other spelling, 3f9a2c1d).ext``: where a disk takes ``name`` and another one for the same."""
    return _tagged(name, f"other spelling, {identity[:8]}")


def spelled_otherwise(name: str) -> tuple[str, str] | None:
    """The name and the eight digits of the identity that ``spelling_name`` made this one of."""
    found = _SPELLING.fullmatch(name)
    return None if found is None else (found["stem"] + (found["extension"] or ""), found["identity"])


def _tagged(file_name: str, tag: str) -> str:
    stem, dot, extension = file_name.rpartition(".")
    if not stem:
        stem, dot, extension = file_name, "", ""
    if len(extension.encode()) > 32:
        stem, dot, extension = file_name, "", ""
    tail = f" ({tag}){dot}{extension}"
    room = limits.NAME_MAX_BYTES - len(tail.encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore") if len(stem.encode()) > room else stem
    return stem + tail


def link_leads_out(path: str, target: str) -> bool:
    """Whether a link at ``path`` is absolute, or may lead out of the folder or into a repository.

    Only leading ``..`` are taken for harmless: ``other-link/../x`` looks inside and may lead outside, since
    ``..`` counts from where ``other-link`` leads. With this rule a link leads inside if those on its way do.
    """
    if not target or target.startswith("/"):
        return True
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    above = parents(path)
    if climbs > len(above) or ".." in parts[climbs:]:
        return True
    base = above[climbs].split("/") if climbs < len(above) else []
    return any(part.lower() in REPOSITORY_FOLDERS for part in base + parts[climbs:])
