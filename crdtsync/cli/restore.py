"""``crdtsync restore [DIR]``: bring the files of held deletions back."""

from __future__ import annotations

import argparse

from crdtsync.cli.arguments import add_directory_argument, add_json_option


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "So many files of DIR were deleted at once that the deletions were held. This brings the "
        "files back from the room. For a single file that went to the trash: crdtsync trash --restore PATH"
    )
    add_directory_argument(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from crdtsync.cli.held import decide

    return decide(arguments, "restore", "restored", "the files whose deletions were held come back now")
