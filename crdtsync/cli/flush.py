"""``crdtsync flush [DIR]``: wait until folder and hub hold the same, as of now."""

from __future__ import annotations

import argparse
from typing import Final

from crdtsync.cli.arguments import add_directory_argument, add_json_option, seconds

_GRACE_S = 10.0
"""How much longer than its own timeout a replica may take to say so."""

_BUT: Final = ", but for what needs attention: crdtsync status"


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "End with 0 once all that is on disk now is on the hub, and all that the hub has now is "
        "on disk; with 5 while the hub is away, and with 1 at the timeout."
    )
    add_directory_argument(parser)
    parser.add_argument(
        "--timeout", type=seconds, metavar="S", help="seconds to wait at most (default: no limit)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.adapters.control_client import call
    from crdtsync.cli.exit_codes import EXIT_DONE
    from crdtsync.cli.output import print_json, say

    timeout_s = arguments.timeout
    answer_within_s = None if timeout_s is None else timeout_s + _GRACE_S
    told = call(arguments.directory, "flush", answer_within_s=answer_within_s, timeout_s=timeout_s)
    if arguments.json:
        print_json({"event": "flushed", "attention": told["attention"]})
    else:
        say("folder and hub hold the same" + (_BUT if told["attention"] else ""))
    return EXIT_DONE
