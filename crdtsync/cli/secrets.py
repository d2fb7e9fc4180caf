"""Where tokens come from, and how they leave the command line again, which everyone here can see."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from crdtsync.cli.arguments import TOKEN_VARIABLE
from crdtsync.core.values.ids import is_token, printable
from crdtsync.core.values.links import is_link, read_link
from crdtsync.errors import CrdtsyncError, InvalidName

FROM_INPUT: Final = "-"
_LINE_MAX_CHARS: Final = 16 << 10


def without_token(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """A command line without the token in it, and that token; the last one if there are several."""
    kept: list[str] = []
    token: str | None = None
    words = iter(arguments)
    for word in words:
        if word == "--token":
            token = next(words, token)
        elif word.startswith("--token="):
            token = word.partition("=")[2]
        elif is_link(word) and "#" in word:
            address, _, found = word.partition("#")
            kept.append(address)
            token = found or token
        else:
            kept.append(word)
    return kept, token


def leave_command_line(arguments: Sequence[str]) -> None:
    """If a token was typed on the command line of this process, start it anew with the token in its
    environment, which only its user can read. Returns when there was none.

    The token can be seen until then: for some hundredths of a second.
    """
    kept, token = without_token(arguments)
    line = sys.orig_argv
    if token is None or list(line[len(line) - len(arguments) :]) != list(arguments):
        return
    environment = {**os.environ, TOKEN_VARIABLE: token}
    os.execve(sys.executable, [*line[: len(line) - len(arguments)], *kept], environment)


def given_token(arguments: argparse.Namespace, environment: Mapping[str, str]) -> str | None:
    """From ``--token-file``, else from the command line, else from the environment. Raises CrdtsyncError."""
    if arguments.token_file is not None:
        return read_token_file(arguments.token_file)
    return arguments.token or environment.get(TOKEN_VARIABLE) or None


def read_token_file(path: Path) -> str:
    """The token, or the token of the invite, that is all that the file holds. Raises CrdtsyncError."""
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o004:
                print(
                    f"crdtsync: everyone on this machine can read {printable(str(path))}: chmod 600 it",
                    file=sys.stderr,
                )
            text = file.read(_LINE_MAX_CHARS).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CrdtsyncError(f"The token file {printable(str(path))} cannot be read: {why}") from error
    text = text.removeprefix("crdtsync join ").strip()
    token = read_link(text).token if is_link(text) else text
    if not token or not is_token(token):
        raise CrdtsyncError(f"The token file {printable(str(path))} must hold one token only")
    return token


def read_invite() -> str:
    """The invite that someone types or pipes in; it is not shown. Raises InvalidName."""
    if sys.stdin.isatty():
        from getpass import getpass

        text = getpass("Invite (it is not shown): ")
    else:
        text = sys.stdin.readline(_LINE_MAX_CHARS)
    text = text.strip().removeprefix("crdtsync join ").strip()
    if not is_link(text):
        raise InvalidName("An invite looks like crdtsync+wss://HUB/ROOM#…: copy the whole of it")
    return text
