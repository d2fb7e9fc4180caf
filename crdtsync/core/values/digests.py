"""Content digests: BLAKE3, 32 bytes, written as 64 hex digits."""

from __future__ import annotations

import re
from typing import NewType, TypeGuard

from blake3 import blake3

Digest = NewType("Digest", str)
"""64 lower-case hex digits: BLAKE3-256 of the content."""

DIGEST_BYTES = 32
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def digest_of(data: bytes | bytearray | memoryview) -> Digest:
    return Digest(blake3(data).hexdigest())


EMPTY_DIGEST = digest_of(b"")
"""Of a file with nothing in it."""


def digest_of_text(text: str) -> Digest:
    """The digest of the file that holds ``text``; a lone surrogate counts as U+FFFD, as Yjs stores it."""
    return digest_of(encode_text(text))


def encode_text(text: str) -> bytes:
    """The bytes of the file that holds ``text``: UTF-8, nothing added, nothing translated."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def is_digest(value: object) -> TypeGuard[Digest]:
    return isinstance(value, str) and _DIGEST.match(value) is not None
