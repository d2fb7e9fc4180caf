"""``crdtsync share DIR``: a hub and a join in one, printing the line that others type to join."""

from __future__ import annotations

import argparse
from pathlib import Path

from crdtsync.cli.arguments import add_json_option, add_name_option, folder, person
from crdtsync.cli.hub_options import add_port_option
from crdtsync.core.values.ids import check_room_name
from crdtsync.core.values.links import is_here
from crdtsync.errors import InvalidName


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a hub and join DIR to it in one process; prints the line that others type to join."
    )
    parser.add_argument("directory", metavar="DIR", type=folder)
    parser.add_argument("--room", help="the room's name (default: the folder's)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument(
        "--open", action="store_true", help="let everyone in who can reach the hub, without an invite"
    )
    parser.add_argument(
        "--hub", metavar="URL", help="the address by which others reach it (default: where it listens)"
    )
    add_port_option(parser)
    add_name_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import asyncio

    from crdtsync.cli.interpreter import hand_over_soon

    hand_over_soon()
    directory: Path = arguments.directory
    room = room_of(directory, arguments.room)
    return asyncio.run(_share(arguments, directory, room, hub_folder(directory)))


async def _share(arguments: argparse.Namespace, directory: Path, room: str, data: Path) -> int:
    from crdtsync.adapters.hub_link import hub_address
    from crdtsync.cli.invite import reachable
    from crdtsync.cli.joined import JoinCommand
    from crdtsync.core.hub.admission import Demand
    from crdtsync.core.values.links import Link
    from crdtsync.runtime.hub import HubServer
    from crdtsync.runtime.hub_access import AccessOptions, demand_of
    from crdtsync.runtime.joining import JoinOptions

    access = AccessOptions(open=arguments.open)
    asks = demand_of(arguments.host, access) is Demand.EVERYBODY
    token = standing_invite(data, room) if asks else None
    async with HubServer(arguments.host, arguments.port, data, access=access) as hub:
        here = hub.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        options = JoinOptions(room=room, directory=directory, hub=here, name=person(arguments), token=token)
        command = JoinCommand(options, json=arguments.json, once=False)
        address = reachable(hub.url) if arguments.hub is None else hub_address(arguments.hub)
        if token is not None or arguments.hub is not None:
            line = f"crdtsync join {Link(address, room, token)}"
        else:
            line = f"crdtsync join {room} DIR --hub {address}"
        event = {"event": "listening", "url": hub.url, "join": line}
        text = f"Others {whence(address)}join with:  {line}"
        return await command.run(lambda view: view.announce(event, text))


def room_of(directory: Path, given: str | None) -> str:
    """The room that a shared folder is: named so, or as the folder is. Raises InvalidName."""
    if given is not None:
        return check_room_name(given)
    try:
        return check_room_name(directory.resolve().name)
    except InvalidName as error:
        raise InvalidName(f"The folder's name names no room, so say one: --room NAME ({error})") from error


def whence(address: str) -> str:
    """From where others can join at that address, if not from everywhere: for a person."""
    return "on this machine (on others: --host 0.0.0.0) " if is_here(address) else ""


def standing_invite(data: Path, room: str) -> str:
    """The token of the invite by which a shared folder is joined: the same each time, until it is revoked.

    Raises CrdtsyncError.
    """
    import time
    from random import SystemRandom

    from crdtsync.adapters.access_store import AccessStore
    from crdtsync.core.hub.invites import Invite, new_identity, token_of

    store = AccessStore(data)
    credentials = store.load()
    for invite in credentials.invites.values():
        if credentials.key is not None and invite == Invite(
            invite.identity, room, read_only=False, name="", made_s=invite.made_s
        ):
            return token_of(invite, credentials.key)
    fresh = Invite(new_identity(SystemRandom()), room, read_only=False, name="", made_s=int(time.time()))
    return token_of(fresh, store.add(fresh))


def hub_folder(directory: Path) -> Path:
    """Where the hub of a shared folder keeps its rooms: apart from the folder, which may be removed."""
    from blake3 import blake3

    from crdtsync.cli.hub_options import default_data

    name = blake3(str(directory.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return default_data().parent / "shares" / name
