"""Positions in a text: code points (Python) and UTF-8 bytes (pycrdt).

Sole owner of these conversions. Offsets count from the start of the text; they lie between characters, and
one inside a character is an error, never rounded.
"""

from __future__ import annotations

from collections.abc import Iterable


def utf8_length(text: str) -> int:
    """Length in UTF-8 bytes. Raises ValueError for a lone surrogate, as every function here."""
    return len(text) if text.isascii() else len(text.encode())


def to_utf8(text: str, offset: int) -> int:
    """UTF-8 bytes before a code point offset. Raises ValueError if it lies outside the text."""
    _check(offset, len(text), "code points")
    return offset if text.isascii() else len(text[:offset].encode())


def to_utf8_many(text: str, offsets: Iterable[int]) -> list[int]:
    """Ascending code point offsets to UTF-8 offsets, in one pass. Raises ValueError like ``to_utf8``."""
    ascending = _ascending(offsets, len(text), "code points")
    if text.isascii():
        return ascending
    converted = []
    at = size_utf8 = 0
    for offset in ascending:
        size_utf8 += len(text[at:offset].encode())
        at = offset
        converted.append(size_utf8)
    return converted


def from_utf8_many(text: str, offsets_utf8: Iterable[int]) -> list[int]:
    """Ascending UTF-8 offsets to code points, in one pass.

    Raises ValueError outside the text, inside a character, or where one is smaller than the one before.
    """
    if text.isascii():
        return _ascending(offsets_utf8, len(text), "UTF-8 bytes")
    encoded = text.encode()
    converted = []
    at = code_points = 0
    for offset in _ascending(offsets_utf8, len(encoded), "UTF-8 bytes"):
        try:
            code_points += len(encoded[at:offset].decode())
        except UnicodeDecodeError:
            raise ValueError(f"offset {offset} (UTF-8 bytes) lies inside a character") from None
        at = offset
        converted.append(code_points)
    return converted


def well_formed(text: str) -> str:
    """Join surrogate pairs and put U+FFFD for lone halves, as TextEncoder does in browsers.

    For text from outside that may hold them (JSON escapes); UTF-8 files cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _ascending(offsets: Iterable[int], length: int, unit: str) -> list[int]:
    ascending = list(offsets)
    at = 0
    for offset in ascending:
        if offset < at:
            raise ValueError(f"offset {offset} ({unit}) is negative or smaller than the one before it")
        at = offset
    _check(at, length, unit)
    return ascending


def _check(offset: int, length: int, unit: str) -> None:
    if not 0 <= offset <= length:
        raise ValueError(f"offset {offset} lies outside the text of {length} {unit}")
