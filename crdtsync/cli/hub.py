"""``crdtsync hub``: run a hub until SIGTERM or Ctrl-C, and say where it listens."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from crdtsync.cli.hub_options import access_options, add_access_options, default_data, port
from crdtsync.cli.interpreter import collect_little, hand_over_soon
from crdtsync.cli.output import LINE_MAX_CHARS, print_json, say
from crdtsync.core.hub.admission import Demand
from crdtsync.core.hub.effects import Notice
from crdtsync.core.values.ids import printable
from crdtsync.core.values.links import is_loopback
from crdtsync.runtime.hub import DEFAULT_PORT, HubServer
from crdtsync.runtime.hub_access import AccessOptions


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its ``run`` is ``args.run``."""
    parser = subparsers.add_parser(
        "hub",
        help="run a hub: it stores and relays the rooms of those who join",
        description="Run a hub: it stores and relays the rooms of those who join. Ctrl-C ends it.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where rooms are stored (default: $XDG_DATA_HOME/crdtsync/hub, or ~/.local/share/crdtsync/hub)",
    )
    add_access_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Returns 0 after a clean end. Raises CrdtsyncError when the hub cannot run."""
    logging.getLogger("crdtsync.hub.websockets").setLevel(logging.CRITICAL)
    collect_little()
    hand_over_soon()
    access = access_options(args)
    return asyncio.run(_run(args.host, args.port, args.data or default_data(), access, args.json))


async def _run(host: str, port: int, data: Path, access: AccessOptions, as_json: bool) -> int:
    def noticed(notice: Notice) -> None:
        if as_json:
            record = {"event": "notice", "kind": notice.kind, "message": notice.message}
            print_json(record | ({"room": notice.room} if notice.room else {}))
        room = f"room {notice.room}: " if notice.room else ""
        print(f"crdtsync: {printable(room + notice.message, LINE_MAX_CHARS)}", file=sys.stderr, flush=True)

    hub = HubServer(host, port, data, access=access, noticed=noticed)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hub.stop)
    async with hub:
        if as_json:
            print_json({"event": "listening", "url": hub.url})
        else:
            say(f"crdtsync hub is listening at {hub.url}")
            say(_how_to_join(host, hub))
            say(f"Rooms are stored in {data}")
        for warning in _warnings(host, hub, access):
            print(f"crdtsync: {warning}", file=sys.stderr, flush=True)
        await hub.wait()
    if as_json:
        print_json({"event": "stopped"})
    else:
        say("crdtsync hub has stopped")
    return 0


def _how_to_join(host: str, hub: HubServer) -> str:
    if hub.demand is Demand.EVERYBODY:
        return "To let someone in:  crdtsync invite ROOM"
    url = hub.url.replace(host, "THIS-MACHINE", 1) if host == "0.0.0.0" else hub.url
    return f"To share a folder:  crdtsync join ROOM DIR --hub {url}"


def _warnings(host: str, hub: HubServer, access: AccessOptions) -> list[str]:
    """What whoever runs a hub on a network should know."""
    if is_loopback(host):
        return []
    warnings = []
    if hub.demand is Demand.NOBODY:
        warnings.append(
            f"anyone who can reach {hub.url} can read and change its rooms; "
            "keep it inside a network you trust."
        )
    if access.tls is None:
        warnings.append(
            "what travels to and from this hub, invites too, can be read on the way: give it --tls-cert and "
            "--tls-key, or put it behind a proxy that does TLS."
        )
    return warnings
