"""``crdtsync revoke ID``: end invites of the hub on this machine, and whoever is inside by them, at once."""

from __future__ import annotations

import argparse

from crdtsync.cli.arguments import add_json_option
from crdtsync.cli.hub_options import add_data_option


def register(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "End invites of the hub whose folder is --data: whoever is inside by one is let out at "
        "once, and nobody enters by it again. What they have on their disk stays with them."
    )
    parser.add_argument(
        "invites", metavar="ID", nargs="*", help="as 'crdtsync invites' lists it, or its beginning"
    )
    parser.add_argument("--room", help="all invites to this room")
    parser.add_argument("--all", action="store_true", help="all of the hub")
    add_data_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import time

    from crdtsync.adapters.access_store import AccessStore
    from crdtsync.adapters.control_client import call_hub
    from crdtsync.cli.exit_codes import EXIT_DONE, UsageError
    from crdtsync.cli.hub_options import default_data
    from crdtsync.cli.invites import state_of
    from crdtsync.cli.output import plural, print_json, say
    from crdtsync.core.values.ids import printable
    from crdtsync.errors import CrdtsyncError

    if not (arguments.invites or arguments.all or arguments.room is not None):
        raise UsageError("Say which invite to end: an ID, --room ROOM or --all; see: crdtsync invites")
    data = arguments.data or default_data()
    store = AccessStore(data)
    now_s = int(time.time())
    invites = list(store.load().invites.values())
    wanted = {
        invite.identity: invite
        for invite in invites
        if arguments.all or (arguments.room is not None and invite.room == arguments.room)
    }
    for given in arguments.invites:
        found = [invite for invite in invites if invite.identity.startswith(given)]
        if len(found) != 1:
            many = "No invite of this hub begins" if not found else f"{len(found)} invites of this hub begin"
            raise CrdtsyncError(f"{many} with {printable(given)!r}; see: crdtsync invites")
        wanted[found[0].identity] = found[0]
    if not wanted:
        raise CrdtsyncError("There is no such invite to end; see: crdtsync invites")
    ending = [invite.identity for invite in wanted.values() if state_of(invite, now_s) == "valid"]
    store.revoke(ending, now_s)
    answer = call_hub(data, "access")
    ended = 0 if answer is None else int(answer["ended"])
    if arguments.json:
        print_json({"revoked": ending, "connections_ended": ended, "hub_runs": answer is not None})
    else:
        say(f"ended {plural(len(ending), 'invite')} and {plural(ended, 'connection')}")
    return EXIT_DONE
