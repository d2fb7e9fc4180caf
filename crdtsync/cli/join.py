"""``crdtsync join ROOM DIR``: keep a folder in sync with a room, until stopped or (--once) settled."""

from __future__ import annotations

import argparse

from crdtsync.cli.arguments import (
    add_hub_options,
    add_json_option,
    add_name_option,
    hub_url,
    person,
    token,
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "join",
        help="keep a folder in sync with a room",
        description="Keep DIR in sync with ROOM. A folder that does not exist is created and filled.",
    )
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("directory", metavar="DIR")
    add_hub_options(parser)
    add_name_option(parser)
    parser.add_argument("--once", action="store_true", help="end once folder and room are the same")
    parser.add_argument(
        "--differing",
        choices=["both", "hub", "mine", "newest"],
        help="at a first join, what to do with files that differ: keep both (the default without "
        "a terminal), the hub's, mine, or the newest",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import asyncio
    from pathlib import Path

    from crdtsync.cli.joined import JoinCommand
    from crdtsync.core.replica.events import Differing
    from crdtsync.runtime.replica import JoinOptions

    options = JoinOptions(
        room=arguments.room,
        directory=Path(arguments.directory),
        hub=hub_url(arguments),
        name=person(arguments),
        token=token(arguments),
        differing=None if arguments.differing is None else Differing(arguments.differing),
    )
    command = JoinCommand(options, json=arguments.json, once=arguments.once)
    return asyncio.run(command.run())
