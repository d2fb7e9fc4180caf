"""The options that commands share, and the environment variables that stand in for them."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT: Final = 4747
DEFAULT_HUB: Final = f"ws://127.0.0.1:{DEFAULT_PORT}"
HUB_VARIABLE: Final = "CRDTSYNC_HUB"
TOKEN_VARIABLE: Final = "CRDTSYNC_TOKEN"
CA_VARIABLE: Final = "CRDTSYNC_CA"
_LONGEST_S: Final = 366 * 86_400.0


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, one value per line")


def add_directory_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        default=".",
        help="the joined folder or any folder in it (default: the current one)",
    )


def add_hub_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hub", metavar="URL", help=f"the hub's address (default: ${HUB_VARIABLE}, or {DEFAULT_HUB})"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a file with an invite, or with the token that is its last part",
    )
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"the token itself (default: ${TOKEN_VARIABLE}, or the one by which DIR was joined before); "
        "it is taken off the command line at once, but your shell may remember it",
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="certificate authorities (PEM) to trust for a wss:// hub, and no others "
        f"(default: ${CA_VARIABLE}, or those of the system)",
    )


def add_name_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", help="who you are, for the others (default: $CRDTSYNC_NAME, or your login name)"
    )


def hub_url(arguments: argparse.Namespace) -> str:
    return arguments.hub or os.environ.get(HUB_VARIABLE) or DEFAULT_HUB


def certificate_authority(arguments: argparse.Namespace) -> Path | None:
    from pathlib import Path

    given = arguments.ca or os.environ.get(CA_VARIABLE)
    return Path(given) if given else None


def person(arguments: argparse.Namespace) -> str:
    """Who the others are told that this is."""
    from crdtsync.adapters.login import own_name

    return own_name(arguments.name)


def room_path(given: str, joined: Path, known: Collection[str]) -> str:
    """The path of the room that a person means: as listed, or as seen from where they are."""
    if given in known:
        return given
    folder, name = os.path.split(given)
    seen = os.path.relpath(os.path.join(os.path.realpath(folder or "."), name), joined)
    return seen if seen in known else given


def folder(text: str) -> Path:
    """A folder, for argparse. An empty word is not the current one, but a variable that was never set."""
    from pathlib import Path

    if not text:
        raise argparse.ArgumentTypeError("a folder needs a name: use . for the current one")
    return Path(text)


def seconds(text: str) -> float:
    """A number of seconds above zero, and up to what clocks can wait for, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, up to a year")
    return value
