"""The options of those commands that run a hub or care for one: its folder, and who may enter."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from crdtsync.cli.arguments import DEFAULT_PORT, folder
from crdtsync.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from crdtsync.runtime.hub_access import AccessOptions


def default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "crdtsync" / "hub"


def add_data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=folder,
        metavar="DIR",
        help="the hub's folder, where rooms are stored "
        "(default: $XDG_DATA_HOME/crdtsync/hub, or ~/.local/share/crdtsync/hub)",
    )


def add_port_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: use 0 to 65535")


def add_access_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who may enter")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--open", action="store_true", help="ask nobody for an invite, also where others can reach the hub"
    )
    which.add_argument(
        "--closed",
        action="store_true",
        help="ask everybody, also on this machine (the default at any address but loopback)",
    )
    group.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM); read anew when renewed"
    )
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        type=_origin,
        metavar="URL",
        help="a web page that may use this hub, such as https://notes.example; may be repeated",
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        type=str.lower,
        metavar="NAME",
        help="a further host name by which a hub on loopback may be called; may be repeated",
    )


def access_options(arguments: argparse.Namespace) -> AccessOptions:
    """Raises CrdtsyncError."""
    from crdtsync.runtime.hub_access import AccessOptions

    certificate, key = arguments.tls_cert, arguments.tls_key
    if (certificate is None) is not (key is None):
        raise UsageError("--tls-cert and --tls-key belong together: give both.")
    return AccessOptions(
        open=arguments.open,
        closed=arguments.closed,
        names=frozenset(arguments.allow_host),
        origins=frozenset(arguments.allow_origin),
        tls=None if certificate is None else (certificate, key),
    )


def _origin(text: str) -> str:
    from crdtsync.core.hub.webpages import check_origin

    try:
        return check_origin(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
