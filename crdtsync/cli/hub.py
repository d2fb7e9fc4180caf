"""``crdtsync hub``: run a hub until SIGTERM or Ctrl-C, and say where it listens."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from crdtsync.cli.output import LINE_MAX_CHARS, print_json, say
from crdtsync.core.hub.effects import Notice
from crdtsync.core.values.ids import printable
from crdtsync.runtime.hub import DEFAULT_PORT, HubServer

SWITCH_INTERVAL_S: Final = 0.001
"""How long a thread that compacts may hold up the one that relays; Python's default of 5 ms can be felt."""


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
        "--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where rooms are stored (default: $XDG_DATA_HOME/crdtsync/hub, or ~/.local/share/crdtsync/hub)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Returns 0 after a clean end. Raises CrdtsyncError when the hub cannot run."""
    logging.getLogger("crdtsync.hub.websockets").setLevel(logging.CRITICAL)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return asyncio.run(_run(args.host, args.port, args.data or default_data(), args.json))


def default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "crdtsync" / "hub"


async def _run(host: str, port: int, data: Path, as_json: bool) -> int:
    def noticed(notice: Notice) -> None:
        if as_json:
            record = {"event": "notice", "kind": notice.kind, "message": notice.message}
            print_json(record | ({"room": notice.room} if notice.room else {}))
        room = f"room {notice.room}: " if notice.room else ""
        print(f"crdtsync: {printable(room + notice.message, LINE_MAX_CHARS)}", file=sys.stderr, flush=True)

    hub = HubServer(host, port, data, noticed=noticed)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hub.stop)
    async with hub:
        if as_json:
            print_json({"event": "listening", "url": hub.url})
        else:
            say(f"crdtsync hub is listening at {hub.url}")
            say(f"To share a folder:  crdtsync join ROOM DIR --hub {_reachable(host, hub.url)}")
            say(f"Rooms are stored in {data}")
        if not _is_loopback(host):
            print(
                f"crdtsync: anyone who can reach {hub.url} can read and change its rooms; "
                "keep it inside a network you trust.",
                file=sys.stderr,
                flush=True,
            )
        await hub.wait()
    if as_json:
        print_json({"event": "stopped"})
    else:
        say("crdtsync hub has stopped")
    return 0


def _reachable(host: str, url: str) -> str:
    """The address as others would type it, when the hub listens at all addresses."""
    return url.replace(host, "THIS-MACHINE", 1) if host == "0.0.0.0" else url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: use 0 to 65535")
