"""``crdtsync client``: the editor protocol on stdin and stdout, for an editor's plugin to start."""

from __future__ import annotations

import argparse


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Speak the editor protocol (JSON-RPC behind Content-Length headers) on stdin and stdout, "
        "for the replica of DIR. An editor's plugin starts this; it ends with the editor, and goes "
        "on by itself when the replica is started anew. docs/editors.md tells how to set editors up."
    )
    parser.add_argument(
        "--directory",
        metavar="DIR",
        default=".",
        help="the joined folder or any folder in it (default: the current one)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import sys

    from crdtsync.adapters.editor_pipes import EditorPipes
    from crdtsync.cli.exit_codes import EXIT_DONE, EXIT_FAILED
    from crdtsync.core.editor.bridge import BridgeError

    try:
        EditorPipes(arguments.directory).run()
    except BridgeError as error:
        print(f"crdtsync: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_DONE
