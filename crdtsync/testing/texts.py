"""How people and formatters change a text: by lines, each with a token of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from crdtsync.core.values.digests import digest_of
from crdtsync.testing.tokens import FIRST_COMMON_TOKEN

TEXT_EDITS = ("insert", "insert", "append", "extend", "replace", "delete", "format")


def line(token: str) -> str:
    """A line around a token, with words of its own: people's lines differ in more than one character."""
    digest = digest_of(token.encode())
    return f"line {digest[:4]} {token} {digest[4:8]} of text\n"


def edited(data: bytes, rng: Random, token: Callable[[], str], kinds: Sequence[str]) -> bytes:
    """One or two changes of the given kinds."""
    lines = data.decode().splitlines(keepends=True)
    for _ in range(rng.randint(1, 2)):
        lines = _changed(lines, rng, token, kinds)
    return "".join(lines).encode()


def _changed(lines: list[str], rng: Random, token: Callable[[], str], kinds: Sequence[str]) -> list[str]:
    at = rng.randrange(len(lines)) if lines else 0
    new = line(token())
    match rng.choice(kinds) if lines else "insert":
        case "insert":
            return [*lines[:at], new, *lines[at:]]
        case "append":
            end = "" if lines[-1].endswith("\n") else "\n"
            return [*lines, end + new]
        case "extend":
            return [*lines[:at], lines[at].rstrip("\n") + f" with {line(token())}", *lines[at + 1 :]]
        case "replace":
            return [*lines[:at], new, *lines[at + 1 :]]
        case "delete":
            return [*lines[:at], *lines[at + 1 :]]
        case _:
            return [formatted(line) for line in lines]


def undisputed(old: Sequence[str], new: Sequence[str]) -> list[int]:
    """Places between two lines of the old text that still stand next to each other in the new one.

    Elsewhere nothing tells a line that was inserted in an old text from one that replaced what came since.
    """
    neighbours = set(pairwise(new))
    return [at for at, pair in enumerate(pairwise(old), start=1) if pair in neighbours]


def formatted(line: str) -> str:
    """What every formatter makes of the line, with a token of its own that everyone gives it alike."""
    if not line.strip() or any(ord(char) >= FIRST_COMMON_TOKEN for char in line):
        return line
    number = int(digest_of(line.strip().encode())[:4], 16) % 0xFFF0
    return f"{line.rstrip()} [checked {chr(FIRST_COMMON_TOKEN + number)}]\n"
