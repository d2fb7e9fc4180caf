"""The entry point: finds the command, imports only that one, runs it and turns errors into exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Final

from crdtsync.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from crdtsync.errors import CrdtsyncError

COMMANDS: Final = {
    "hub": "run a hub: it stores and relays the rooms of those who join",
    "join": "keep a folder in sync with a room",
    "share": "run a hub for one folder, and join it",
    "invite": "print the line by which someone joins a room of a hub on this machine",
    "invites": "list the invites of a hub on this machine",
    "revoke": "end invites of a hub on this machine, at once",
    "client": "connect an editor's plugin to the replica of a folder",
    "status": "is it connected, what is pending, who is here, what needs attention",
    "flush": "wait until folder and hub hold the same",
    "conflicts": "list conflict copies, or resolve one",
    "trash": "list what was removed or replaced here, or restore it",
    "confirm": "send the deletions that were held for safety",
    "restore": "bring the files of held deletions back",
}
"""What each command is for; everything else about it is in the module of its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
    try:
        if argv is None and given:
            from crdtsync.cli.secrets import leave_command_line

            leave_command_line(given)
        return _run(given)
    except SystemExit as end:  # argparse has told why, or has printed the help
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except KeyboardInterrupt:
        print("crdtsync: interrupted", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read our output has seen enough (``| head``). Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _run(given: Sequence[str]) -> int:
    try:
        os.getcwd()
    except FileNotFoundError:
        print("crdtsync: the current folder is gone; change to another one", file=sys.stderr)
        return EXIT_FAILED
    parser = _parser(given)
    if not given:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    arguments = parser.parse_args(given)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except CrdtsyncError as error:
        from crdtsync.cli.output import report

        return report(error, as_json="json" in arguments and arguments.json)
    return code


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crdtsync",
        description="Join a folder, and it is the same folder for everyone: concurrent edits of one text "
        "merge, and nothing that anyone saved is lost.",
        epilog="'crdtsync COMMAND --help' tells more. Exit codes: 0 done, 1 failed, 2 usage, "
        "3 halted for safety, 4 access denied, 5 hub unreachable.",
    )
    parser.add_argument("--version", action=_Version)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # The options before the command take no values, so the first word is the command.
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, purpose in COMMANDS.items():
        command = subparsers.add_parser(name, help=purpose)
        if name == wanted:
            import_module(f"crdtsync.cli.{name}").register(command)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and end")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("crdtsync")
        except PackageNotFoundError:
            number = "(not installed)"
        print(f"crdtsync {number}")
        parser.exit(EXIT_DONE)


if __name__ == "__main__":
    sys.exit(main())
