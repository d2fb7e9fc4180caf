"""``crdtsync invite ROOM``: make an invite of the hub on this machine, and print the line that joins."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from crdtsync.cli.arguments import HUB_VARIABLE, add_json_option
from crdtsync.cli.hub_options import add_data_option

if TYPE_CHECKING:
    from pathlib import Path

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_EXPIRES: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])\Z")


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make an invite to ROOM of the hub whose folder is --data, running or not, and print the "
        "line by which someone joins. Whoever has the line can join: send it as you would send a password."
    )
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("--read-only", action="store_true", help="who uses it can change nothing")
    parser.add_argument("--expires", type=_seconds, metavar="7d", help="ends after 30m, 12h, 7d, 4w, ...")
    parser.add_argument("--name", default="", help="who it is for: the others see this name")
    parser.add_argument(
        "--hub",
        metavar="URL",
        help=f"the address by which they reach the hub (default: ${HUB_VARIABLE}, or where it listens)",
    )
    add_data_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import time
    from random import SystemRandom

    from crdtsync.adapters.access_store import AccessStore
    from crdtsync.adapters.control_client import call_hub
    from crdtsync.cli.exit_codes import EXIT_DONE
    from crdtsync.cli.hub_options import default_data
    from crdtsync.cli.output import print_json
    from crdtsync.core.hub.invites import Invite, new_identity, token_of
    from crdtsync.core.values.ids import check_room_name, person_name
    from crdtsync.core.values.links import Link

    data: Path = arguments.data or default_data()
    now_s = int(time.time())
    invite = Invite(
        new_identity(SystemRandom()),
        check_room_name(arguments.room),
        arguments.read_only,
        person_name(arguments.name) if arguments.name else "",
        now_s,
        None if arguments.expires is None else now_s + arguments.expires,
    )
    hub = _address(arguments.hub, data)
    key = AccessStore(data).add(invite)
    call_hub(data, "access")
    link = str(Link(hub, invite.room, token_of(invite, key)))
    if arguments.json:
        print_json({"id": invite.identity, "link": link, "expires_at": invite.expires_s})
    else:
        print(f"crdtsync join {link}")
    return EXIT_DONE


def _address(given: str | None, data: Path) -> str:
    """The hub's address as others reach it. Raises CrdtsyncError."""
    import os

    from crdtsync.adapters.control_client import call_hub
    from crdtsync.adapters.hub_link import hub_address
    from crdtsync.errors import CrdtsyncError

    if named := given or os.environ.get(HUB_VARIABLE):
        return hub_address(named)
    running = call_hub(data, "address")
    if running is None:
        raise CrdtsyncError(
            f"No hub runs on {data}, so nobody can tell where it will be reached. "
            "Say it: crdtsync invite ROOM --hub wss://HOST:PORT"
        )
    return reachable(str(running["url"]))


def reachable(url: str) -> str:
    """The address of a hub that listens everywhere, as others would type it."""
    import socket
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    if host not in ("0.0.0.0", "::"):
        return url
    name = socket.gethostname()
    return url.replace("[::]" if host == "::" else host, name, 1)


def _seconds(text: str) -> int:
    found = _EXPIRES.match(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: use 30m, 12h, 7d or 4w")
    return int(found[1]) * _UNITS_S[found[2]]
