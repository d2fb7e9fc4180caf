"""A running ``hub``: signals, where it listens, and what whoever runs it is told."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from crdtsync.cli.exit_codes import EXIT_DONE
from crdtsync.cli.output import LINE_MAX_CHARS, print_json, say
from crdtsync.core.hub.admission import Demand
from crdtsync.core.hub.effects import Notice
from crdtsync.core.values.ids import printable
from crdtsync.core.values.links import is_loopback
from crdtsync.runtime.hub import HubServer
from crdtsync.runtime.hub_access import AccessOptions


async def serve(host: str, port: int, data: Path, access: AccessOptions, *, as_json: bool) -> int:
    """Until SIGTERM or Ctrl-C; returns the exit code. Raises CrdtsyncError when the hub cannot run."""

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
    return EXIT_DONE


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
