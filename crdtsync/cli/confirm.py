"""``crdtsync confirm [DIR]``: send the deletions that were held for safety."""

from __future__ import annotations

import argparse

from crdtsync.cli.arguments import add_directory_argument, add_json_option


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "So many files of DIR were deleted at once that the deletions were held. This sends "
        "them; on the disks of the others, the files go to the trash."
    )
    add_directory_argument(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.cli.held import decide

    return decide(arguments, "confirm", "confirmed", "the deletions that were held are sent now")
