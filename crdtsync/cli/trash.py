"""``crdtsync trash [DIR]``: list what was removed or replaced here, or restore it; needs no replica."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdtsync.cli.arguments import add_directory_argument, add_json_option, room_path
from crdtsync.cli.exit_codes import EXIT_DONE

if TYPE_CHECKING:
    from crdtsync.adapters.trash import Trashed


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List what the room removed or replaced on this disk: kept for 30 days, up to 1 GiB. "
        "With --restore, bring the newest file of that name back."
    )
    add_directory_argument(parser)
    parser.add_argument("--restore", metavar="PATH", help="the file to bring back, as listed")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.adapters.control_client import find_joined
    from crdtsync.adapters.trash_on_disk import open_trash, restore
    from crdtsync.cli.output import print_json, say

    joined = find_joined(arguments.directory)
    with open_trash(joined) as (trash, tree):
        found = trash.listing()
        if arguments.restore is not None:
            path = room_path(arguments.restore, joined, [each.path for each in found])
            restored = restore(found, path, tree)
    if arguments.restore is None:
        _show(arguments, found)
    elif arguments.json:
        print_json({"event": "restored", "path": path, "restored_to": restored})
    elif restored == path:
        say(f"restored {path}")
    else:
        say(f"restored {path} as {restored}, since something else is at its path")
    return EXIT_DONE


def _show(arguments: argparse.Namespace, found: Sequence[Trashed]) -> None:
    from datetime import datetime

    from crdtsync.cli.output import local_time, plural, print_json, print_table, say

    if arguments.json:
        print_json(
            [
                {
                    "path": each.path,
                    "trashed_at": each.trashed_at,
                    "reason": each.reason,
                    "location": each.location,
                }
                for each in found
            ]
        )
        return
    if not found:
        say("the trash is empty")
        return
    rows = [
        (local_time(datetime.fromisoformat(each.trashed_at).timestamp()), each.path, each.reason)
        for each in found
    ]
    print_table(("WHEN", "PATH", "WHY"), rows)
    say(f"{plural(len(rows), 'file')}; bring one back with: crdtsync trash --restore PATH")
