"""Which updates of a log others build on: by what they insert next to, and by what they delete."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crdtsync.core.text.update import check_update


def with_needed(updates: Sequence[bytes], wanted: Collection[bytes]) -> list[bytes]:
    """The wanted ones of these, and those before them without which they could not be read."""
    kept: list[bytes] = []
    needs: dict[int, int] = {}
    for update in reversed(updates):
        shape = check_update(update)
        begins = [(client, first) for client, (first, _) in shape.structs.items()]
        if update not in wanted and all(first >= needs.get(client, 0) for client, first in begins):
            continue
        kept.append(update)
        deletes = ((client, ranges[-1][1]) for client, ranges in shape.deletes.items())
        for client, clock in (*shape.needs.items(), *begins, *deletes):
            needs[client] = max(clock, needs.get(client, 0))
    return kept[::-1]
