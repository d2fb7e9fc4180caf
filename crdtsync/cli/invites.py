"""``crdtsync invites``: list the invites of the hub on this machine, never their tokens."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from crdtsync.cli.arguments import add_json_option
from crdtsync.cli.hub_options import add_data_option

if TYPE_CHECKING:
    from crdtsync.core.hub.invites import Invite


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the invites of the hub whose folder is --data; ended ones for 30 days more."
    parser.add_argument("room", metavar="ROOM", nargs="?", help="only those to this room")
    add_data_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import time

    from crdtsync.adapters.access_store import AccessStore
    from crdtsync.cli.exit_codes import EXIT_DONE
    from crdtsync.cli.hub_options import default_data
    from crdtsync.cli.output import print_json, print_table, say

    now_s = time.time()
    found = [
        invite
        for invite in AccessStore(arguments.data or default_data()).load().invites.values()
        if arguments.room in (None, invite.room)
    ]
    if arguments.json:
        print_json([_record(invite, now_s) for invite in found])
    elif not found:
        say("no invites")
    else:
        rows = [_row(invite, now_s) for invite in found]
        print_table(("ID", "ROOM", "MAY", "MADE", "ENDS", "FOR"), rows)
    return EXIT_DONE


def state_of(invite: Invite, now_s: float) -> str:
    if invite.revoked_s is not None:
        return "revoked"
    return "expired" if invite.is_expired(now_s) else "valid"


def _record(invite: Invite, now_s: float) -> dict[str, object]:
    return {
        "id": invite.identity,
        "room": invite.room,
        "read_only": invite.read_only,
        "name": invite.name,
        "state": state_of(invite, now_s),
        "made_at": invite.made_s,
        "expires_at": invite.expires_s,
        "revoked_at": invite.revoked_s,
    }


def _row(invite: Invite, now_s: float) -> tuple[str, ...]:
    from crdtsync.cli.output import local_time

    state = state_of(invite, now_s)
    ends = "never" if invite.expires_s is None else local_time(invite.expires_s)
    return (
        invite.identity,
        invite.room,
        "read" if invite.read_only else "change",
        local_time(invite.made_s),
        ends if state == "valid" else state,
        invite.name,
    )
