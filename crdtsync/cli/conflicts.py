"""``crdtsync conflicts [DIR]``: list conflict copies, or resolve one."""

from __future__ import annotations

import argparse
from typing import Any

from crdtsync.cli.arguments import add_directory_argument, add_json_option, room_path
from crdtsync.cli.exit_codes import EXIT_DONE, UsageError


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the files that keep what could not be merged. With --resolve, one of the two is "
        "kept under the original's name, and the other goes to the trash."
    )
    add_directory_argument(parser)
    parser.add_argument("--resolve", metavar="PATH", help="the conflict copy to resolve")
    parser.add_argument("--keep", choices=["copy", "original"], help="which of the two to keep")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if (arguments.resolve is None) != (arguments.keep is None):
        raise UsageError("--resolve PATH goes with --keep copy or --keep original")
    return _list(arguments) if arguments.resolve is None else _resolve(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from crdtsync.adapters.control_client import call
    from crdtsync.cli.output import local_time, plural, print_json, print_table, say

    conflicts: list[dict[str, Any]] = call(arguments.directory, "conflicts")
    if arguments.json:
        print_json(conflicts)
    elif not conflicts:
        say("no conflict copies")
    else:
        rows = [
            (local_time(copy["at"] / 1000), copy["by"], copy["path"], copy["copy_of"] or "(gone)")
            for copy in conflicts
        ]
        print_table(("SINCE", "BY", "COPY", "OF"), rows)
        say(
            f"{plural(len(rows), 'conflict')}; resolve one with: "
            "crdtsync conflicts --resolve COPY --keep copy|original"
        )
    return EXIT_DONE


def _resolve(arguments: argparse.Namespace) -> int:
    from crdtsync.adapters.control_client import call, find_joined
    from crdtsync.cli.output import print_json, say

    conflicts: list[dict[str, Any]] = call(arguments.directory, "conflicts")
    known = [copy["path"] for copy in conflicts]
    path = room_path(arguments.resolve, find_joined(arguments.directory), known)
    call(arguments.directory, "resolve", path=path, keep=arguments.keep)
    if arguments.json:
        print_json({"event": "resolved", "path": path, "kept": arguments.keep})
    else:
        say(f"kept the {arguments.keep} of {path}; the other is in the trash")
    return EXIT_DONE
