"""The content of one struct of a Yjs update, of every kind there is and of some that there are not.

Formats: the ``readContent…`` functions of https://github.com/yjs/yjs, ``readAny`` of https://github.com/dmonad/lib0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from crdtsync.core.wire.lib0 import varbytes, varuint
from crdtsync.testing.fuzzing.choices import Choices

_TEXT: Final = 4
_TYPE: Final = 7

STRINGS: Final[tuple[bytes, ...]] = (
    *(
        text.encode()
        for text in ("a", "hello", "é", "😀", "a😀b", "é😀😀", "\n", "\0", "\ufffd", "\ufeff", "x" * 40)
    ),
    *(
        b"",
        b"\xed\xa0\xbd",
        b"\xed\xb8\x80",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xff",
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
    ),
)
JSON: Final[tuple[bytes, ...]] = (
    *(
        b"null",
        b"true",
        b"1",
        b"-2.5e3",
        b'"x"',
        b"[]",
        b"{}",
        b'{"a":[1,{"b":null}]}',
        b'"\\ud83d\\ude00"',
        b"1e308",
    ),
    *(
        b"",
        b"undefined",
        b"NaN",
        b"1e999",
        b'"\\ud83d"',
        b"{",
        b" 1 ",
        b'{"a":1,"a":2}',
        b"[" * 70 + b"]" * 70,
    ),
    *(
        b"01",
        b"1.",
        b"-",
        b"+1",
        b"9" * 400,
        b'"\t"',
        b"\xef\xbb\xbf1",
        b'{"__proto__":1}',
        b"-0",
        b"12345678901234567890",
    ),
)
KEYS: Final[tuple[bytes, ...]] = (
    b"bold",
    b"a",
    b"",
    "é😀".encode(),
    b"ychange",
    b"__proto__",
    b"\xed\xa0\xbd",
)
HONEST_STRINGS: Final = 11
HONEST_JSON: Final = 10
HONEST_KEYS: Final = 5


@dataclass(frozen=True, slots=True)
class Content:
    """``length`` in clocks, as an honest writer would count them. ``is_type``: it can be a parent."""

    kind: int
    length: int
    body: bytes
    is_type: bool = False


def content(choices: Choices) -> Content:
    """Text, mostly."""
    match choices.below(20):
        case 0:
            length = 1 + choices.below(5)
            return Content(1, length, varuint(choices.number(length)))
        case 1:
            data = choices.take(choices.below(5))
            return Content(3, 1, varuint(choices.number(len(data))) + data)
        case 2:
            return Content(5, 1, varbytes(_one_of(choices, JSON, HONEST_JSON)))
        case 3 | 4:
            key, json = _one_of(choices, KEYS, HONEST_KEYS), _one_of(choices, JSON, HONEST_JSON)
            return Content(6, 1, varbytes(key) + varbytes(json))
        case 5 | 6:
            return _shared_type(choices)
        case 7:
            count = 1 + choices.count(4)
            values = b"".join(value(choices) for _ in range(count))
            return Content(8, count, varuint(choices.number(count)) + values)
        case 8:
            options = b"\x76" + varuint(1) + varbytes(b"gc") + value(choices)
            return Content(9, 1, varbytes(b"guid") + (value(choices) if choices.chance(8) else options))
        case 9 if choices.chance(4):
            return Content(choices.below(32), 1, choices.take(choices.below(8)))
        case 10 if choices.chance(4):
            count = choices.below(3)
            return Content(2, max(1, count), varuint(count) + varbytes(b"1") * count)
        case _:
            data = _one_of(choices, STRINGS, HONEST_STRINGS)
            units = len(data.decode("utf-8", "replace").encode("utf-16-le")) // 2
            return Content(_TEXT, max(1, units), varuint(choices.number(len(data))) + data)


def value(choices: Choices, depth: int = 0) -> bytes:
    """lib0's ``any``."""
    match choices.below(14):
        case 0 | 1 | 2 | 3 as simple:
            return bytes(((127, 126, 121, 120)[simple],))
        case 4:
            return b"\x7d" + choices.pick(
                (b"\x05", b"\x45", b"\xff\xff\xff\xff\xff\xff\x0f", b"\xbf" + b"\xff" * 9 + b"\x01")
            )
        case 5:
            return b"\x7c" + struct.pack(">f", choices.pick((0.5, float("nan"), float("inf"), -0.0)))
        case 6:
            return b"\x7b" + struct.pack(">d", choices.pick((0.1, float("nan"), float("-inf"), 2.0**53)))
        case 7:
            return b"\x7a" + struct.pack(">q", choices.pick((0, -1, 2**53, -(2**63), 2**63 - 1)))
        case 8:
            return b"\x77" + varbytes(_one_of(choices, STRINGS, HONEST_STRINGS))
        case 9:
            count = choices.count(3) if depth < 4 else 0
            entries = (
                varbytes(_one_of(choices, KEYS, HONEST_KEYS)) + value(choices, depth + 1)
                for _ in range(count)
            )
            return b"\x76" + varuint(choices.number(count)) + b"".join(entries)
        case 10:
            count = choices.count(3) if depth < 4 else 0
            return (
                b"\x75"
                + varuint(choices.number(count))
                + b"".join(value(choices, depth + 1) for _ in range(count))
            )
        case 11:
            data = choices.take(choices.below(4))
            return b"\x74" + varuint(choices.number(len(data))) + data
        case 12 if choices.chance(4):
            return b"\x75\x01" * choices.pick((63, 64, 65, 3000)) + b"\x7e"
        case _:
            return bytes((choices.byte(),)) if choices.chance(8) else b"\x7e"


def _shared_type(choices: Choices) -> Content:
    kind = choices.pick((2, 2, 2, 1, 0, 4, 3, 6, 5, 7))
    name = varbytes(_one_of(choices, KEYS, HONEST_KEYS)) if kind in (3, 5) else b""
    return Content(_TYPE, 1, varuint(choices.number(kind)) + name, is_type=True)


def _one_of(choices: Choices, options: tuple[bytes, ...], honest: int) -> bytes:
    """Mostly one of the first, which all clients take."""
    return choices.pick(options) if choices.chance(24) else options[choices.below(honest)]
