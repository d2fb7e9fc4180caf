"""One room as its Yjs clients see it: reads the texts they open, and passes updates between them and the log.

A Listener of the room, on behalf of all channels in it. Which text a client gets is decided in ``choosing``;
what is said on a channel stands in ``text``, what clients write in ``writing``; presence in ``crossing``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, assert_never

from crdtsync.core.hub.batch import Batch
from crdtsync.core.hub.doors import codes
from crdtsync.core.hub.doors.channel import Channel, Phase
from crdtsync.core.hub.doors.choosing import OtherHistory, check_state_vector
from crdtsync.core.hub.doors.crossing import Replicas
from crdtsync.core.hub.doors.loading import Loading
from crdtsync.core.hub.doors.making import Making
from crdtsync.core.hub.doors.opened import Opened
from crdtsync.core.hub.doors.people import People
from crdtsync.core.hub.doors.places import Places, shares_history
from crdtsync.core.hub.doors.strangers import Arrival, Proof, Refused, Step, decide, heard_late, objection
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.doors.texts import OpenTexts
from crdtsync.core.hub.doors.usage import Usage
from crdtsync.core.hub.doors.writing import Writing
from crdtsync.core.hub.events import DocumentsLoaded, UpdatesChecked
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE, DocumentId, EntryId, Randomness, new_client_id
from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.core.wire.control import Left, Presence
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
)
from crdtsync.errors import MalformedUpdate, PeerError

_LEFT_MAX: Final = 16
"""So many folders that left last are told to whoever opens a text."""


class Desk:
    """``number`` is its own as a member of the room, below 0. ``usage``: of all desks of the hub.
    ``folders_return``: whether folders are still coming back to a hub that has just started."""

    def __init__(
        self,
        number: int,
        name: str,
        shared: Shared,
        rng: Randomness,
        opened: Opened,
        usage: Usage,
        folders_return: Callable[[], bool],
    ) -> None:
        self._opened = opened
        self.number = number
        self.waits_for_store = False
        self.name = name
        self.channels: dict[int, Channel] = {}
        self.texts = OpenTexts(lambda: self._here().await_flush(self), usage)
        self._shared = shared
        self._rng = rng
        self._folders_return = folders_return
        self._client_id = new_client_id(rng)
        self._new_text = partial(OpenText, client_id=self._client_id, shared=shared, soon=self.texts.soon)
        self._replicas = Replicas(rng)
        self._left = deque[ClientState](maxlen=_LEFT_MAX)
        """Folders that left lately: who comes from another text, or comes back, may have been shown them."""
        self._room: Room | None = None
        self._places: Places | None = None
        self._loading = Loading(number, shared)
        self._arriving: dict[int, Arrival] = {}
        """Channels that are about to open a text."""
        self._making = Making(number, self.texts, opened, shared, rng, self._move)
        self._people = People(
            self.texts.of, lambda entry: self._places.path_of(entry) if self._places else None
        )
        self._writing = Writing(
            number, shared, self.texts, self._making, self._people, self._here, self._known, self.refuse
        )

    # -- the room -------------------------------------------------------------------------------------

    def enter(self, room: Room) -> None:
        """The room is loaded."""
        self._room = room
        room.live[self.number] = self
        room.enter(self)
        self._loading.ask(room, [TREE])

    def leave(self) -> None:
        if self._room is not None:
            self._room.leave(self.number)
            self._room = None

    def loaded(self, event: DocumentsLoaded) -> bool:
        """As ``read_on``."""
        more = False
        for document, stored in event.documents:
            updates = self._loading.finish(document, stored)
            if document == TREE:
                opened = partial(self._opened.at, self.name)
                self._loading.begin_tree(Places(self._client_id, self.texts.held, opened), updates)
                more = self.read_on()
            else:
                entry = EntryId(document)
                plain = document in event.plain
                self.texts.add(self._new_text(entry, "", updates=updates, plain=plain))
                self._take_up(self._known(), self.texts.unmade)
        self.attach()
        for text in self.texts:
            self._close_if_unused(text)
        return more

    def read_on(self) -> bool:
        """Read more of the tree; whether there is still more. Raises MalformedUpdate."""
        self._places = self._loading.read_tree()
        for channel in list(self.channels.values()) if self._places is not None else ():
            self._admit(channel)
        return self._places is None

    def attach(self) -> None:
        """Something has changed, or time has passed, for which channels may wait."""
        for number in list(self._arriving):
            if (channel := self.channels[number]).phase is Phase.ATTACHING:
                self._attach(channel)

    # -- the room's listener --------------------------------------------------------------------------

    def take(self, batch: Batch) -> bytes | str | None:
        for row in batch.rows:
            entry = row.entry
            if self._loading.keep(entry.document, entry.update) or (places := self._places) is None:
                continue
            if row.author != self.number:
                self._changed(places, entry.document, entry.update)
            if self.texts.unmade:
                self._take_up(places, [places.path_of(EntryId(entry.document))])
        return None

    def flushed(self) -> None:
        self._here().awaiting_flush.pop(self.number, None)
        self.texts.flush()

    def stored(self) -> None:
        if not self._writing.pay():
            self._here().awaiting_store.pop(self.number, None)

    def tell_durable(self) -> bytes | str | None:
        return None

    def tell_presence(self, presence: Presence | Left) -> bytes | str | None:
        if presence.member not in self._people and (state := self._replicas.take(presence)) is not None:
            self.texts.announce([state])
            if state.state == NOBODY:
                self._left.append(state)
        return None

    def renew(self) -> None:
        """Yjs clients forget who was not heard of for a while, and leave where nothing comes."""
        self.texts.announce(self._replicas.states())

    def rest(self) -> None:
        """Nothing has happened in the room for a while."""
        if self._places is not None:
            self._places.rest()

    def _changed(self, places: Places, document: DocumentId, update: bytes) -> None:
        """A folder, or who may speak for one, has changed it."""
        if document == TREE:
            self._tree_changed(places, update)
        elif (text := self.texts.made.get(EntryId(document))) is not None:
            with suppress(MalformedUpdate):  # as in every replica
                text.apply(update)
        else:
            places.unlearn(EntryId(document))

    def _tree_changed(self, places: Places, update: bytes) -> None:
        self._making.make_all()
        try:
            changed = places.apply(update)
        except MalformedUpdate:
            return  # it is in the log, and each replica tells its person of it
        self._take_up(places, self.texts.unmade)
        for entry in changed & self.texts.made.keys():
            for channel in self.texts.made[entry].channels.values():
                self._people.announce(self._here(), channel.connection.number)
        self.attach()

    def _take_up(self, places: Places, paths: Iterable[str | None]) -> None:
        """Clients that have a file open which is not made go on with the one that is there by now, or that
        has the history of what they brought. A text that was changed since it was deleted is read to tell."""
        for path in sorted(self.texts.unmade.keys() & paths):
            self._making.make(self.texts.unmade[path])
            if (text := self.texts.unmade.get(path)) is None:
                continue
            held = text.document.state_vector
            stood = places.stood(path, held)
            known = [entry for entry in stood if places.is_known(entry)]
            places.refresh(known)
            self._loading.ask(self._here(), [DocumentId(entry) for entry in stood if entry not in known])
            is_there = places.text_at(path) is not None
            if is_there or any(shares_history(held, places.state_vector(entry)) for entry in known):
                for channel in list(text.channels.values()):
                    self._move(channel, text, channel.held if is_there else held)

    def _move(self, channel: Channel, text: OpenText, held: bytes, proof: Proof | None = None) -> None:
        """The file that this client was about to make is there: it goes on with that one."""
        people = text.gathering.of(channel.number)
        text.leave(channel)
        self._close_if_unused(text)
        self._arrive(channel, Arrival(held, people, proof))

    # -- channels -------------------------------------------------------------------------------------

    def open(self, channel: Channel) -> None:
        """A client wants a document; ``ready`` or ``refuse`` follows."""
        self.channels[channel.number] = channel
        self._people.come(channel)
        channel.connection.wait()
        if len(self._people) > limits.MEMBERS_PER_ROOM_MAX:
            self.refuse(channel, codes.TRY_AGAIN, f"The room {self.name!r} has as many members as it may.")
            return
        if self._places is not None:
            self._admit(channel)

    def close(self, channel: Channel) -> None:
        """The client is done with the document, or gone."""
        self._making.make(self.texts.of(channel))
        del self.channels[channel.number]
        self.texts.usage.left(self.name)
        if channel.phase in (Phase.ENTERING, Phase.ATTACHING):
            channel.connection.go_on()
        self._arriving.pop(channel.number, None)
        self._writing.forget(channel)
        text = self.texts.of(channel)
        channel.phase = Phase.CLOSED
        if text is not None:
            text.leave(channel)
            self._close_if_unused(text)
        if self._room is not None:
            self._people.announce(self._room, channel.connection.number)
        self._people.go(channel)

    def hear(self, channel: Channel, message: YjsMessage, at_ms: int) -> None:
        """A client said something; what is not due is ignored, for a step 1 follows. Raises PeerError."""
        text = self.texts.of(channel)
        match message:
            case SyncStep1(state_vector):
                check_state_vector(state_vector)
                if channel.phase is Phase.READY:
                    self._arrive(channel, Arrival(state_vector))
                elif text is not None:
                    text.answer(channel, state_vector)
            case SyncStep2(update) if channel.phase is Phase.PROVING:
                self._arrive(channel, replace(self._arriving[channel.number], proof=Proof(update, at_ms)))
            case SyncUpdate() if channel.phase is Phase.PROVING:
                channel.shows_later()
            case SyncStep2(update) if text is not None and (held := heard_late(channel, text, update)):
                self._move(channel, text, held, Proof(update, at_ms))
            case SyncStep2(update) | SyncUpdate(update):
                if text is not None:
                    if isinstance(message, SyncStep2):
                        text.gathering.answered(channel.number)
                    self._writing.take(channel, text, update, at_ms)
            case Awareness() if not channel.may_announce(at_ms / 1000):
                self._shared.counts.refuse("awareness")  # the client says it all again within 15 s
            case Awareness(states):
                if text is not None:
                    if news := text.gathering.take(channel.number, states):
                        text.telling.awareness(news)
                    self._people.announce(self._here(), channel.connection.number)
            case QueryAwareness():
                if text is not None:
                    channel.say(Awareness((*text.gathering.all(), *self._replicas.states())))
            case PermissionDenied():
                raise PeerError("a permission that is not a client's to deny")
            case _:
                assert_never(message)

    def tell_ahead(self, channel: Channel, update: bytes, frame: bytes) -> None:
        """Tell others of an update before ``hear`` takes it in, if it is certain to."""
        if (text := self.texts.of(channel)) is not None and self._here().full(len(update)) is None:
            text.tell_ahead(channel, update, frame)

    def checked(self, event: UpdatesChecked) -> None:
        """A large update has been read."""
        self._writing.checked(event)

    def refuse(self, channel: Channel, code: int, reason: str) -> None:
        self.close(channel)
        channel.connection.refuse(channel, code, reason)

    def refuse_all(self, code: int, reason: str) -> None:
        for channel in list(self.channels.values()):
            self.refuse(channel, code, reason)

    def _admit(self, channel: Channel) -> None:
        if (problem := self._known().impossible(channel.path)) is not None:
            self.refuse(channel, codes.NOT_FOUND, problem)
            return
        channel.ready()

    # -- attaching ------------------------------------------------------------------------------------

    def _arrive(self, channel: Channel, arrival: Arrival) -> None:
        channel.attach()
        self._arriving[channel.number] = arrival
        self._attach(channel)

    def _attach(self, channel: Channel) -> None:
        """Go as far as can be gone with what is known; the rest when what is missing has been read."""
        self._making.make(self.texts.unmade.get(channel.path))
        room, places = self._here(), self._known()
        arrival = self._arriving[channel.number]
        path, stood = channel.path, places.stood(channel.path, arrival.state_vector)
        unknown = [DocumentId(entry) for entry in stood if not places.is_known(entry)]
        if unknown:
            self._loading.ask(room, unknown)
            return
        places.refresh(stood)
        decided = decide(places, path, arrival, channel.granted.read_only, self._folders_return())
        if isinstance(decided, Refused):
            self.refuse(channel, decided.code, decided.reason)
            return
        if decided is Step.WAIT:
            return
        if decided is Step.SHOW:
            channel.prove()
            return
        other, chosen = (decided, decided.standing) if isinstance(decided, OtherHistory) else (None, decided)
        text = self.texts.unmade.get(path) if chosen is None else self.texts.made.get(chosen)
        if text is None and not self.texts.usage.may_open:
            self.refuse(channel, codes.TRY_AGAIN, "This hub has as many documents open as it may.")
            return
        if text is None and chosen is not None:
            self._loading.ask(room, [DocumentId(chosen)])
            return
        text = text or self.texts.add(self._new_text(None, path, updates=()))
        if (refused := objection(other, arrival.proof, text)) is not None:
            self.refuse(channel, refused.code, refused.reason)
            self._close_if_unused(text)
            return
        del self._arriving[channel.number]
        channel.entry = chosen
        channel.phase, channel.held = Phase.OPEN, arrival.state_vector
        if chosen is not None:
            self._opened.add(self.name, path, chosen)
        text.greet(channel, arrival.state_vector, (*self._replicas.states(), *self._left))
        if arrival.people:
            text.telling.awareness(text.gathering.take(channel.number, arrival.people))
        channel.connection.go_on()
        if (proof := arrival.proof) is not None:
            self._writing.apply(channel, text, proof.update, proof.at_ms)

    def _close_if_unused(self, text: OpenText) -> None:
        if self.texts.close_if_unused(text) and self._places is not None:
            assert text.entry is not None
            self._here().gather()
            self._places.learn(text.entry, text.document.state_vector)

    def _here(self) -> Room:
        assert self._room is not None
        return self._room

    def _known(self) -> Places:
        assert self._places is not None
        return self._places
