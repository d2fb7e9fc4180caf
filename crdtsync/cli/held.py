"""What ``confirm`` and ``restore`` share: a person's decision on deletions that were held for safety."""

from __future__ import annotations

import argparse
from typing import Any, Final

from crdtsync.cli.exit_codes import EXIT_DONE

_HELD: Final = "held"


def decide(arguments: argparse.Namespace, method: str, event: str, told: str) -> int:
    """Hand the decision on, if there is anything to decide; nobody decides on what is held only later."""
    from crdtsync.adapters.control_client import call
    from crdtsync.cli.output import print_json, say

    status: dict[str, Any] = call(arguments.directory, "status")
    # One thing at a time is told about the folder as a whole, and another may have come since.
    held = any(item["kind"] == _HELD or not item["path"] for item in status["attention"])
    if held:
        call(arguments.directory, method)
    if arguments.json:
        print_json({"event": event, "held": held})
    else:
        say(told if held else "no deletions are held")
    return EXIT_DONE
