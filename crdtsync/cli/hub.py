"""``crdtsync hub``: run a hub until SIGTERM or Ctrl-C, and say where it listens."""

from __future__ import annotations

import argparse

from crdtsync.cli.arguments import add_json_option
from crdtsync.cli.hub_options import (
    access_options,
    add_access_options,
    add_data_option,
    add_port_option,
    default_data,
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a hub: it stores and relays the rooms of those who join. Ctrl-C ends it."
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all (default: %(default)s)"
    )
    add_port_option(parser)
    add_data_option(parser)
    add_access_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import asyncio
    import logging

    from crdtsync.cli.interpreter import collect_little, hand_over_soon
    from crdtsync.cli.serving import serve

    logging.getLogger("crdtsync.hub.websockets").setLevel(logging.CRITICAL)
    collect_little()
    hand_over_soon()
    return asyncio.run(
        serve(
            arguments.host,
            arguments.port,
            arguments.data or default_data(),
            access_options(arguments),
            as_json=arguments.json,
        )
    )
