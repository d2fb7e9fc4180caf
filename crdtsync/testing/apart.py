"""What people do in the folder of a replica that may only read: it stays there, and the room still arrives.

It has a ledger of its own as long as that holds: nobody else is to see what was written there, and what was
taken out there is still due to all others. Once the replica may write, it is an edit like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.testing.editors import Editor
from crdtsync.testing.oracles import Broken, Ledger, Picture, check_kept, picture
from crdtsync.testing.tokens import is_common, token_name, tokens
from crdtsync.testing.virtual_replica import VirtualReplica


class Apart:
    """``shared`` is the ledger of all others, ``own`` that of the people here as long as it only reads."""

    def __init__(self, replica: VirtualReplica, person: Editor, shared: Ledger, own: Ledger) -> None:
        self.replica = replica
        self.own = own
        self._person = person
        self._shared = shared
        person.ledger = own

    @property
    def taken_back(self) -> set[bytes]:
        """What was written here while the replica might write, and was taken out here when it might no more:
        it need not have been sent meanwhile."""
        return {token for token in self.own.excused if self._shared.born.get(token) == self.replica.name}

    @property
    def holds(self) -> bool:
        """Whether the replica may only read."""
        return self.replica.read_only

    def change(self) -> None:
        """While it is down: from its next start on it may write, or may do so no more."""
        self.replica.read_only = not self.replica.read_only
        if self.replica.read_only:
            self._person.ledger = self.own = Ledger(first=self.own.count)
        else:
            self._person.ledger = self._shared
            self._shared.take_over(self.own)

    def check(self, room: Picture, elsewhere: Iterable[tuple[str, bytes]]) -> None:
        """``elsewhere`` are all contents that others have, and where."""
        for token in self._shared.born.keys() & self.own.born.keys():
            del self.own.born[token]  # copied there from the room
        for where, data in elsewhere:
            for token in sorted(tokens(data) & self.own.born.keys()):
                if not is_common(token):
                    raise Broken("sent", f"{token_name(token)} of {self.replica.name} is in {where}")
        folder = picture(self.replica)
        check_kept(self.own, folder, self.replica.machine.trashed())
        there = {token for _, data, _ in folder.values() for token in tokens(data)}
        known = there | self.own.excused.keys() | self._shared.excused.keys()
        for path, (_, data, _) in room.items():
            for token in sorted(tokens(data) - known):
                if not is_common(token):
                    raise Broken("follows", f"{token_name(token)} of {path} is not at {self.replica.name}")
