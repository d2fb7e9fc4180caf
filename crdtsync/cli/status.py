"""``crdtsync status [DIR]``: is it connected, what is pending, who is here, what needs attention."""

from __future__ import annotations

import argparse
from typing import Any

from crdtsync.cli.arguments import add_directory_argument, add_json_option

_PENDING = (
    ("ingest", "to read"),
    ("send", "to send"),
    ("receive", "to receive"),
    ("materialise", "to write"),
)
_EXPLAINED = {
    "starting": "starting: the folder is being read",
    "syncing": "syncing",
    "settled": "settled: folder and hub hold the same",
    "offline": "offline: the hub is away; edits go on, and are sent when it is back",
    "halted": "halted: for safety nothing is sent or written; see the message of join",
}


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = "Tell how the running replica of DIR is doing."
    add_directory_argument(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.adapters.control_client import call
    from crdtsync.cli.exit_codes import EXIT_DONE
    from crdtsync.cli.output import print_json

    status = call(arguments.directory, "status")
    if arguments.json:
        print_json(status)
    else:
        _show(status)
    return EXIT_DONE


def _show(status: dict[str, Any]) -> None:
    from crdtsync.cli.output import print_table, say

    say(f"{status['room']} at {status['hub']}")
    pending = [f"{status['pending'][key]} {words}" for key, words in _PENDING if status["pending"].get(key)]
    state = _EXPLAINED.get(status["state"], status["state"])
    if status["state"] == "settled" and status["attention"]:
        state += ", but for what needs attention"
    say(f"{state} ({', '.join(pending)})" if pending else state)
    for transfer in status.get("transfers", []):
        done, total = int(transfer["done"]), int(transfer["total"])
        say(f"{transfer['direction']} {transfer['name']}: {100 * done // max(total, 1)}% of {total:,} bytes")
    if status["peers"]:
        print()
        print_table(
            ("WHO", "EDITS"), [(peer["name"], ", ".join(peer["editing"])) for peer in status["peers"]]
        )
    if status["attention"]:
        print()
        rows = [(item["path"] or "(the folder)", item["message"]) for item in status["attention"]]
        print_table(("NEEDS ATTENTION", "WHY"), rows)
