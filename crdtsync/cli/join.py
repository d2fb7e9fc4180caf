"""``crdtsync join``: keep a folder in sync with a room, until stopped or (--once) settled."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtsync.cli.arguments import (
    add_hub_options,
    add_json_option,
    add_name_option,
    certificate_authority,
    folder,
    hub_url,
    person,
)
from crdtsync.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = "Keep DIR in sync with a room. A folder that does not exist is created and filled."
    parser.usage = (
        "%(prog)s [options] ROOM DIR\n       %(prog)s [options] INVITE [DIR]\n"
        "       %(prog)s [options] - [DIR]"
    )
    parser.add_argument(
        "room",
        metavar="ROOM",
        help="a room's name; or an invite, as 'crdtsync invite' printed it; or - to be asked for one, "
        "so that it stands in no history of commands",
    )
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", type=folder, help="with an invite: ./ROOM when left out"
    )
    add_hub_options(parser)
    add_name_option(parser)
    parser.add_argument(
        "--read-only", action="store_true", help="follow the room, and send nothing that is changed here"
    )
    parser.add_argument("--once", action="store_true", help="end once folder and room are the same")
    parser.add_argument(
        "--differing",
        choices=["both", "hub", "mine", "newest"],
        help="at a first join, what to do with files that differ: keep both (the default without "
        "a terminal), the hub's, mine, or the newest",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which room of which hub, where, by which token."""

    room: str
    hub: str
    directory: Path
    token: str | None


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.cli.interpreter import (
        collect_nothing,
        collect_seldom,
        hand_over_soon,
        importing,
        leave_all,
    )

    with importing():
        import asyncio

        from crdtsync.cli.joined import JoinCommand
        from crdtsync.core.replica.events import Differing
        from crdtsync.runtime.joining import JoinOptions

    wanted = what_is_wanted(arguments)
    options = JoinOptions(
        room=wanted.room,
        directory=wanted.directory,
        hub=wanted.hub,
        name=person(arguments),
        token=wanted.token,
        ca=certificate_authority(arguments),
        read_only=arguments.read_only,
        differing=None if arguments.differing is None else Differing(arguments.differing),
    )
    _warn(wanted.hub)
    hand_over_soon()
    command = JoinCommand(options, json=arguments.json, once=arguments.once)
    collect_nothing()
    try:
        return asyncio.run(command.run(lambda view: collect_seldom()))
    finally:
        leave_all()


def what_is_wanted(arguments: argparse.Namespace) -> Wanted:
    """Raises CrdtsyncError."""
    from pathlib import Path

    from crdtsync.adapters import saved_token
    from crdtsync.adapters.hub_link import hub_address
    from crdtsync.cli.secrets import FROM_INPUT, given_token, read_invite
    from crdtsync.core.values.links import is_link, read_link

    given: str = arguments.room
    if given == FROM_INPUT:
        given = read_invite()
    token = given_token(arguments, os.environ)
    if is_link(given):
        if arguments.hub is not None:
            raise UsageError("An invite names its hub: leave --hub out.")
        link = read_link(given)
        room, hub, token = link.room, link.hub, link.token or token
        directory = arguments.directory or Path(room)
    else:
        room, hub = given, hub_url(arguments)
        if arguments.directory is None:
            raise UsageError("Say which folder to join: crdtsync join ROOM DIR")
        directory = arguments.directory
    hub = hub_address(hub)
    return Wanted(room, hub, directory, token or saved_token.load(directory, hub))


def _warn(hub: str) -> None:
    import sys

    from crdtsync.core.values.links import is_here

    if hub.startswith("ws://") and not is_here(hub):
        print(
            f"crdtsync: {hub} is not encrypted: everything, an invite too, can be read and changed on the "
            "way. Use a wss:// address outside a network you trust.",
            file=sys.stderr,
            flush=True,
        )
