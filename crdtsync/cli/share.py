"""``crdtsync share DIR``: a hub and a join in one, printing the line that others type to join."""

from __future__ import annotations

import argparse
from pathlib import Path

from crdtsync.cli.arguments import add_json_option, add_name_option, person


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "share",
        help="run a hub for one folder, and join it",
        description="Run a hub and join DIR to it in one process; prints the line that others type to join.",
    )
    parser.add_argument("directory", metavar="DIR")
    parser.add_argument("--room", help="the room's name (default: the folder's)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4747, help="0 takes a free one (default: %(default)s)")
    add_name_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import asyncio

    directory = Path(arguments.directory)
    room = arguments.room or directory.resolve().name
    return asyncio.run(_share(arguments, directory, room, hub_folder(directory)))


async def _share(arguments: argparse.Namespace, directory: Path, room: str, data: Path) -> int:
    import json

    from crdtsync.cli.joined import JoinCommand
    from crdtsync.runtime.hub import HubServer
    from crdtsync.runtime.replica import JoinOptions

    async with HubServer(arguments.host, arguments.port, data) as hub:
        options = JoinOptions(room=room, directory=directory, hub=hub.url, name=person(arguments))
        command = JoinCommand(options, json=arguments.json, once=False)
        line = f"crdtsync join {room} DIR --hub {hub.url}"

        async def tell() -> None:
            if arguments.json:
                print(json.dumps({"event": "listening", "url": hub.url, "join": line}), flush=True)
            else:
                print(f"Others join with:  {line}", flush=True)

        return await command.run(tell)


def hub_folder(directory: Path) -> Path:
    """Where the hub of a shared folder keeps its rooms: apart from the folder, which may be removed."""
    from blake3 import blake3

    from crdtsync.cli.hub import default_data

    name = blake3(str(directory.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return default_data().parent / "shares" / name
