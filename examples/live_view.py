"""Draws the picture in the README: the live view of a join, with a scene that shows all of its parts.

Run: ``python examples/live_view.py docs/live-view.svg``.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from crdtsync.cli.render import Change, Scene, TransferRow
from crdtsync.core.replica.state import Attention
from crdtsync.core.replica.status import Peer, Pending, Status


def scene() -> Scene:
    """Ann's terminal on an afternoon."""
    drawn = Scene("website", "ws://10.0.0.5:4747", "/home/ann/website")
    drawn.status = Status(
        state="syncing",
        connected=True,
        pending=Pending(ingest=0, send=0, receive=1, materialise=0),
        peers=(Peer("Bob", ("src/index.ts", "README.md")), Peer("Cid", ())),
        attention=(
            Attention("assets/logo-link", "unshared", "a link that leads out of the folder: stays here only"),
        ),
        entries=1284,
    )
    drawn.transfers = [TransferRow("received", "assets/intro.mp4", 61_000_000, 148_000_000)]
    for change in (
        Change("received", "src/index.ts", "edited", "14:02:51"),
        Change("sent", "src/style.css", "edited", "14:02:54"),
        Change("received", "docs/draft.md", "renamed to docs/guide.md", "14:03:02"),
        Change("sent", "docs/guide.md", "edited", "14:03:02"),
        Change("received", "README.md", "edited", "14:03:09"),
    ):
        drawn.changes.append(change)
    return drawn


def main() -> None:
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    console.print(scene())
    drawn = console.export_svg(title="crdtsync join website ~/website")
    Path(sys.argv[1]).write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))


if __name__ == "__main__":
    main()
