"""Reads the content of one item of a Yjs update, whose length in clocks is all that it tells.

Refuses what Yjs and Yrs read differently, and nesting that would overflow the stack of a decoder. Formats:
the ``readContent…`` functions of https://github.com/yjs/yjs, ``readAny`` of https://github.com/dmonad/lib0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from crdtsync.core.text.cursor import Cursor, refuse

MAX_NESTING: Final = 64
"""Of arrays and maps in a value; decoders recurse, and an overflowing stack ends the process."""

_MAP: Final = 118
_XML_ELEMENT: Final = 3
_TYPES: Final = frozenset({0, 1, 2, _XML_ELEMENT, 4, 6})
"""Array, map, text, XML element, fragment and text. Yjs reads a name after an XML hook (5), Yrs does not."""


def read_content(cursor: Cursor, kind: int) -> int:
    """Returns the length of the item in clocks. Raises MalformedUpdate, IndexError past the end."""
    read = _CONTENTS.get(kind)
    if read is None:
        refuse(f"unknown content kind {kind}")
    return read(cursor)


def _deleted(cursor: Cursor) -> int:
    return cursor.clock()


def _binary(cursor: Cursor) -> int:
    cursor.skip(cursor.count())
    return 1


def _string(cursor: Cursor) -> int:
    """The length is in UTF-16 units."""
    at = cursor.at
    text = cursor.string()
    size_bytes = len(text)
    if "\0" in text:
        refuse("a text with a NUL, which would be no text on any disk")
    if cursor.at - at <= size_bytes + 8 and text.isascii():
        return size_bytes
    units = len(text.encode("utf-16-le")) >> 1
    if units > len(text):
        at = 0
        for character in text:
            at += 1
            if character > "\uffff":
                cursor.halves.append(at)
                at += 1
    return units


def _embed(cursor: Cursor) -> int:
    _check_json(cursor.string())
    return 1


def _format(cursor: Cursor) -> int:
    cursor.string()
    _check_json(cursor.string())
    return 1


def _type(cursor: Cursor) -> int:
    kind = cursor.uint()
    if kind not in _TYPES:
        refuse(f"unknown shared type {kind}")
    if kind == _XML_ELEMENT:
        cursor.string()
    return 1


def _values(cursor: Cursor) -> int:
    count = cursor.count()
    for _ in range(count):
        _read_value(cursor, 0)
    return count


def _document(cursor: Cursor) -> int:
    """Yjs reads fields of the options of an embedded document, so they must be an object."""
    cursor.string()
    if cursor.data[cursor.at] != _MAP:
        refuse("the options of an embedded document are not an object")
    _read_value(cursor, 0)
    return 1


_CONTENTS: Final[Mapping[int, Callable[[Cursor], int]]] = {
    1: _deleted,
    # 2, a list of JSON strings, is of Yjs before 13.0 only, and Yrs reads one string too many
    3: _binary,
    4: _string,
    5: _embed,
    6: _format,
    7: _type,
    8: _values,
    9: _document,
}


def _read_value(cursor: Cursor, depth: int) -> None:
    """lib0's ``any``; see ``readAny`` in https://github.com/dmonad/lib0."""
    match cursor.byte():
        case 127 | 126 | 121 | 120:  # undefined, null, false, true
            pass
        case 125:  # an integer with a sign: 6 bits in its first byte, then 7 in each
            first = size = cursor.at
            while cursor.byte() & 0x80:
                size += 1
                if size - first > 7:
                    refuse("a number has more than 53 bits")
        case 124:
            cursor.skip(4)
        case 123 | 122:
            cursor.skip(8)
        case 119:
            cursor.string()
        case 118:  # _MAP
            for _ in range(_nested(cursor, depth)):
                cursor.string()
                _read_value(cursor, depth + 1)
        case 117:
            for _ in range(_nested(cursor, depth)):
                _read_value(cursor, depth + 1)
        case 116:
            cursor.skip(cursor.count())
        case other:
            refuse(f"unknown value kind {other}")


def _nested(cursor: Cursor, depth: int) -> int:
    if depth >= MAX_NESTING:
        refuse(f"values nested more than {MAX_NESTING} deep")
    return cursor.count()


def _check_json(text: str) -> None:
    """What JSON.parse and serde_json both take, within bounds."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError):
        refuse("a value is not JSON")
    level: list[Any] = [value]
    for _ in range(MAX_NESTING + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    refuse(f"values nested more than {MAX_NESTING} deep")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number
