"""Tokens that occur nowhere else, by which everything that is saved can be told apart and found again."""

from __future__ import annotations

import re

FIRST_TOKEN = 0x20000
FIRST_COMMON_TOKEN = 0x30000
"""A token is one character, so that no merge can tear it: of a person from here, of a tool from there."""
TOKEN = re.compile(rb"\xf0[\xa0-\xbf][\x80-\xbf][\x80-\xbf]")


def token_name(token: bytes) -> str:
    return f"<{ord(token.decode()) - FIRST_TOKEN}>"


def is_common(token: bytes) -> bool:
    """Whether a tool gave it, which gives everyone the same."""
    return ord(token.decode()) >= FIRST_COMMON_TOKEN


def tokens(data: bytes) -> set[bytes]:
    return set(TOKEN.findall(data))
