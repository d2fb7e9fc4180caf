"""The engine of a room without a folder: what the hub says goes in, what a program does goes out.

Knows one room, in memory: its tree, its texts and the session with the hub. Pure: whoever runs it carries
frames and tells the time. Nothing is kept beyond its life; what was typed while the hub was away reaches it
with the next connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Literal, assert_never

from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.replica.effects import Connect, Disconnect, Halt, Notice, SendBinary, SendText
from crdtsync.core.replica.events import (
    BinaryFrame,
    Connected,
    Disconnected,
    NetworkChanged,
    TextFrame,
    Tick,
)
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.reconnecting import Reconnecting
from crdtsync.core.replica.session import HubSession, Identity
from crdtsync.core.replica.status import Conflict, Peer, Pending, Status, conflicts_of
from crdtsync.core.room.effects import (
    CursorsMoved,
    Effect,
    EntriesChanged,
    Event,
    PeopleChanged,
    Settled,
)
from crdtsync.core.room.files import Files
from crdtsync.core.room.hub_side import Heard, HubSide
from crdtsync.core.room.people import People
from crdtsync.core.room.texts import RoomTexts
from crdtsync.core.text.diff import Edit
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Operation
from crdtsync.core.tree.view import Placement, RoomView
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId, Randomness, new_client_id
from crdtsync.core.wire.control import Refused
from crdtsync.errors import InvalidEdit, ReadOnly

REPAIR_ROUNDS_MAX: Final = 32
"""Repairs lead to repairs; honest rooms need two or three rounds."""


class RoomEngine:
    """``handle`` takes what happens outside. The verbs (``edit``, ``settle`` and those of ``files``) are what
    the program does; their effects come with the next ``handle``, so each is followed by a ``Tick``."""

    def __init__(self, identity: Identity, rng: Randomness) -> None:
        client_id = new_client_id(rng)
        self._out = Outbox()
        self._identity = identity
        self._tree = TreeDocument(client_id)
        self._texts = RoomTexts(client_id)
        self._view = RoomView(self._tree.rows, self._texts)
        self._people = People(identity.name, self._path_of)
        heard = Heard(
            edited=self._edited,
            left_out=self._left_out,
            someone=self._people.someone,
            left=self._people.left,
            caught_up=self._caught_up,
            probed=self._probed,
            refused=self._refused,
        )
        self._hub_side = HubSide(self._tree, self._texts, self._view, heard)
        self._session = HubSession(identity, self._hub_side, self._out, None, [])
        self._reconnecting = Reconnecting(rng, self._out)
        self._holders: Counter[EntryId] = Counter()
        self._true: list[Settled] = []
        self._settling: dict[int, bool] = {}
        """By number, whether its probe was answered."""
        self._peers: tuple[Peer, ...] = ()
        self._ever_caught_up = False
        self._halted = False
        self._now = 0.0
        self.files = Files(
            identity.name,
            rng,
            self._tree,
            self._texts,
            self._view,
            self._perform,
            self._push,
            self.check_writable,
        )
        """What stands in the room, and the verbs that change it."""

    # -- the outside ----------------------------------------------------------------------------------

    def start(self, now: float) -> list[Effect]:
        """The first effects: connect."""
        self._now = now
        self._out.effect(Connect())
        return self._finish()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at ``now`` (seconds since 1970, never going back); returns effects, in order."""
        self._now = self.files.now = now
        if self._halted:
            return []
        match event:
            case Connected():
                self._session.connected()
            case TextFrame(data):
                self._reconnecting.heed(partial(self._session.text_frame, data))
            case BinaryFrame(data):
                self._reconnecting.heed(partial(self._session.binary_frame, data))
            case Disconnected(reason):
                self._disconnected(reason)
            case NetworkChanged():
                self._reconnecting.network_changed(now)
            case Tick():
                pass
            case _:
                assert_never(event)
        if self._reconnecting.take(now):
            self._out.effect(Connect())
        return self._finish()

    @property
    def deadline(self) -> float | None:
        """When a Tick is due, in the terms of ``now``; None: not before something else happens."""
        due = [self._reconnecting.due, self._now if self._session.eager else None]
        if self._session.live:
            due.append(self._people.deadline)
        return min((at for at in due if at is not None), default=None)

    # -- what a program asks and does -----------------------------------------------------------------

    @property
    def caught_up(self) -> bool:
        """Whether the room was here, whole, at least once."""
        return self._ever_caught_up

    @property
    def read_only(self) -> bool:
        """As of the last welcome."""
        return self._session.read_only

    @property
    def status(self) -> Status:
        """A snapshot; ``pending.send`` are the documents of which the hub has not acknowledged everything."""
        session = self._session
        pending = Pending(ingest=0, send=session.unsent, receive=0, materialise=0)
        state: Literal["starting", "syncing", "settled", "offline", "halted"]
        if self._halted:
            state = "halted"
        elif not session.live:
            state = "offline" if self._ever_caught_up else "starting"
        else:
            state = "syncing" if pending.total else "settled"
        return Status(state, session.live, pending, self._peers, (), len(self._view.placements))

    @property
    def conflicts(self) -> list[Conflict]:
        """The conflict copies that still exist."""
        return conflicts_of(self._view, self._tree.rows)

    def get(self, entry: EntryId) -> Placement | None:
        """Where the entry stands; None if it is gone."""
        return self._view.get(entry)

    def open(self, entry: EntryId) -> str:
        """Keep a text open for one more holder, who is told of its changes; returns it."""
        self._holders[entry] += 1
        self._texts.open(entry)
        return self._texts.text(entry)

    def close(self, entry: EntryId, holder: int) -> None:
        """One holder less."""
        self.place(entry, (), holder)
        self._holders[entry] -= 1
        if not self._holders[entry]:
            del self._holders[entry]
            self._texts.close(entry)

    def cursors(self, entry: EntryId) -> list[CursorsMoved]:
        """Where everyone else is in the text."""
        return self._people.cursors(entry)

    def place(self, entry: EntryId, ranges: Ranges, holder: int) -> None:
        """Where the person at that holder is, as (anchor, head) in code points; none: nowhere."""
        self._people.place(entry, ranges, holder)

    def edit(self, entry: EntryId, edits: Sequence[Edit], holder: int | None) -> None:
        """Edit an open text: ascending edits, in code points, of what it is now.

        Raises InvalidEdit or ReadOnly; nothing is changed then.
        """
        self.check_writable()
        try:
            update = self._texts.edit(entry, edits)
        except ValueError as error:
            raise InvalidEdit(f"The edits do not fit the text: {error}") from None
        if update:
            self._people.edited(entry, edits, holder, self._now)
            self._push(DocumentId(entry), update)
            self._hub_side.refresh([entry])

    def write_text(self, path: str, text: str) -> EntryId:
        """Make the file hold that text, as a save would; what stays the same is not touched.

        Raises InvalidName, NameTaken, ReadOnly.
        """
        placed = self.files.at(path)
        if placed is None or placed.kind is not Kind.TEXT:
            return self.files.make_text(path, text, replace=True)
        self.edit(placed.entry, self.files.changes_to(placed.entry, text), None)
        return placed.entry

    def check_writable(self) -> None:
        """Raises ReadOnly."""
        if self._session.read_only:
            raise ReadOnly("This member may only read the room; ask for an invite that may write")

    def settle(self, number: int) -> None:
        """Tell with ``Settled`` once the hub has, durably, all of what was done here, and we what it had."""
        self._settling[number] = False
        if self._session.live:
            self._session.probe(number)

    def unsettle(self, number: int) -> None:
        """Nobody waits for that any more."""
        self._settling.pop(number, None)

    def want(self, digests: Iterable[Digest]) -> None:
        """Ask the others for blobs that the hub lacks."""
        self._people.want(digests)

    # -- the hub --------------------------------------------------------------------------------------

    def _disconnected(self, reason: str) -> None:
        self._session.disconnected()
        self._settling = dict.fromkeys(self._settling, False)
        self._people.away()
        self._reconnecting.lost(self._now)
        self._out.notice("offline", "", reason)

    def _caught_up(self) -> None:
        self._reconnecting.caught_up()
        self._ever_caught_up = True
        self._out.notice("connected", "", "caught up with the hub")
        for number in self._settling:
            self._session.probe(number)

    def _probed(self, number: int) -> None:
        if number in self._settling:
            self._settling[number] = True

    def _refused(self, refused: Refused) -> None:
        self._halted = self._reconnecting.refused(refused)

    def _edited(self, entry: EntryId, edits: tuple[Edit, ...]) -> None:
        self._people.others_edited(entry, edits, self._author(entry))

    def _path_of(self, entry: EntryId) -> str | None:
        placed = self._view.get(entry)
        return None if placed is None else placed.path

    def _author(self, entry: EntryId) -> str:
        """The only one who says to edit it, if there is just one: an update does not tell whose it is."""
        path = self._path_of(entry)
        names = {peer.name for peer in self._session.peers.values() if path in peer.editing}
        return names.pop() if len(names) == 1 else ""

    def _left_out(self, document: DocumentId, reason: str) -> None:
        path = None if document == TREE else self._path_of(EntryId(document))
        self._out.notice("refused", path or "", f"an update from the hub cannot be applied: {reason}")

    # -- changes of our own ---------------------------------------------------------------------------

    def _push(self, document: DocumentId, update: bytes) -> None:
        self._session.push(document, update)

    def _perform(self, operations: Sequence[Operation]) -> None:
        """Change the tree. Texts are pushed before the tree that names them."""
        self.check_writable()
        update, changed = self._tree.edit(operations)
        self._session.flush()
        self._push(TREE, update)
        self._hub_side.refresh(changed)

    def _repair(self) -> None:
        if not self._session.live or self._session.read_only:
            return
        for _ in range(REPAIR_ROUNDS_MAX):
            operations = self._view.repairs(self._texts.text_digest)
            if not operations:
                return
            self._perform(operations)

    # -- the end of each event ------------------------------------------------------------------------

    def _finish(self) -> list[Effect]:
        self._repair()
        self._reconnecting.heed(self._session.advance)
        self._session.flush()
        self._people.announce(self._session, self._now)
        self._settle()
        effects: list[Effect] = []
        for effect in self._out.take():
            assert isinstance(effect, Connect | Disconnect | SendText | SendBinary | Halt | Notice), effect
            effects.append(effect)
        effects += [told for told in self._people.told if told.entry in self._holders]
        effects += self._true
        self._people.told.clear()
        self._true.clear()
        if self._hub_side.touched:
            effects.append(EntriesChanged(frozenset(self._hub_side.touched)))
            self._hub_side.touched.clear()
        peers = tuple(Peer(each.name, each.editing) for _, each in sorted(self._session.peers.items()))
        if peers != self._peers:
            self._peers = peers
            effects.append(PeopleChanged())
        return effects

    def _settle(self) -> None:
        if not self._settling or not self._session.live or self._session.unsent:
            return
        for number in [number for number, probed in self._settling.items() if probed]:
            del self._settling[number]
            self._true.append(Settled(number))
