"""Many members, a slow network, a failing disk, restarts and restored backups, by seed: everyone converges.

Replicas here are the least that obeys docs/protocol.md; they share no code with the product's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import (
    Admitted,
    Append,
    CheckUpdates,
    Close,
    Compact,
    CompareDocuments,
    FindDocuments,
    FlushSoon,
    Notice,
    OpenRoom,
    Pause,
    ReadLog,
    Send,
    Stopped,
    Unpause,
)
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import (
    AppendFailed,
    BinaryFrame,
    Closed,
    Connected,
    Event,
    Flush,
    Sent,
    TextFrame,
    Tick,
)
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_hub, encode_from_replica
from crdtsync.core.wire.control import Cursor, Hello, Refused, Welcome, decode_control, encode_control
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    FromReplica,
    Probed,
    Push,
    Relay,
)
from crdtsync.testing.memory_hub_store import MemoryHubStore
from tests.hub.bench import Request, answer
from tests.hub.material import NOTES, TASKS, Author

DOCUMENTS = (NOTES, TASKS)


@dataclass
class Link:
    """One connection: frames under way in either direction."""

    number: int
    up: list[str | bytes] = field(default_factory=list)
    down: list[str | bytes] = field(default_factory=list)
    paused: bool = False
    closing: bool = False
    live: bool = False


def _known(vectors: tuple[tuple[DocumentId, bytes], ...]) -> tuple[tuple[DocumentId, bytes], ...]:
    return tuple(vector for vector in vectors if vector[1] != EMPTY_STATE_VECTOR)


class Replica:
    """A disk that survives (documents, cursor, what may be lacking) and a connection that does not."""

    def __init__(self, client_id: int) -> None:
        self.texts = {document: Author(client_id) for document in DOCUMENTS}
        self.cursor: Cursor | None = None
        self.dirty: set[DocumentId] = set()
        self.link: Link | None = None
        self.epoch = ""
        self.accepted: list[int] = []
        self.relayed = 0
        self._answers: list[tuple[DocumentId, bytes]] = []
        self._comparing: set[DocumentId] = set()
        self._batch = 0
        self._unacked: dict[int, set[DocumentId]] = {}
        self._tentative: dict[DocumentId, int] = {}

    def connected(self, link: Link) -> None:
        self.link = link
        self.relayed = 0
        self._answers, self._unacked, self._tentative, self._comparing = [], {}, {}, set()
        self._send(Hello(room="notes", replica="r", cursor=self.cursor))

    def type(self, rng: random.Random) -> None:
        document = rng.choice(DOCUMENTS)
        author = self.texts[document]
        length = len(str(author))
        start = rng.randint(0, length)
        if length > 40 or (length and rng.random() < 0.3):
            update = author.erase(start // 2, start // 2 + 1 + length // 4)
        else:
            update = author.type(rng.choice("abcdefgh") * rng.randint(1, 5), start)
        self.dirty.add(document)
        if self.link is not None and self.link.live:
            self._push(document, update)

    def receive(self, frame: str | bytes) -> None:
        assert self.link is not None
        if isinstance(frame, str):
            match decode_control(frame):
                case Welcome(epoch=epoch, resume=resume):
                    self.epoch = epoch
                    if not resume:
                        vectors = tuple((d, author.doc.get_state()) for d, author in self.texts.items())
                        self._send(Compare(False, _known(vectors[:1])))
                        self._send(Compare(True, _known(vectors[1:])))
                case Refused(message=message):
                    raise AssertionError(message)
                case _:
                    pass
            return
        match decode_from_hub(frame):
            case Relay(entries):
                for entry in entries:
                    self.texts[entry.document].take(entry.update)
                    if self.link.live:
                        self._tentative[entry.document] = entry.sequence
                        self.dirty.add(entry.document)
                        self.relayed = max(self.relayed, entry.sequence)
            case Differ(documents):
                for difference in documents:
                    self.texts[difference.document].take(difference.update or EMPTY_UPDATE)
                    self._answers.append((difference.document, difference.state_vector))
            case CaughtUp(sequence):
                self.link.live = True
                self.cursor = Cursor(epoch=self.epoch, sequence=sequence)
                for document in sorted(self.dirty):
                    self._comparing.add(document)
                    self._send(Compare(False, ((document, self.texts[document].doc.get_state()),)))
            case Accepted(batch, sequence):
                assert batch in self._unacked
                assert self.relayed <= sequence, "relayed what is behind the batch before accepting it"
                self.accepted.append(batch)
            case Ack(batch, sequence):
                assert batch in self.accepted
                for document in self._unacked.pop(batch):
                    self._settle(document)
                self._durable(sequence)
            case Committed(sequence):
                self._durable(sequence)
            case Probed():
                pass
        if self.link.live:
            answers, self._answers = self._answers, []
            for document, state_vector in answers:
                update = self.texts[document].doc.get_update(state_vector)
                self._comparing.discard(document)
                self._push(document, update)

    def _durable(self, sequence: int) -> None:
        assert self.link is not None
        if self.link.live and self.cursor is not None and sequence > self.cursor.sequence:
            self.cursor = Cursor(epoch=self.epoch, sequence=sequence)
        for document in [d for d, at in self._tentative.items() if at <= sequence]:
            del self._tentative[document]
            self._settle(document)

    def _settle(self, document: DocumentId) -> None:
        pushed = any(document in documents for documents in self._unacked.values())
        if document not in self._tentative and document not in self._comparing and not pushed:
            self.dirty.discard(document)

    def _push(self, document: DocumentId, update: bytes) -> None:
        self.dirty.add(document)
        self._batch += 1
        self._unacked[self._batch] = {document}
        self._send(Push(self._batch, ((document, update),)))

    def _send(self, message: FromReplica | Hello) -> None:
        assert self.link is not None
        frame = encode_control(message) if isinstance(message, Hello) else encode_from_replica(message)
        self.link.up.append(frame)


class World:
    """Everything that can happen, one thing at a time, chosen by the seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.store = MemoryHubStore()
        self.lives = 0
        self.connections = 0
        self.replicas = [Replica(client) for client in range(1, 5)]
        self.links: dict[int, Link] = {}
        self.requests: list[Request] = []
        self.flush = False
        self.now = 0.0
        self.backup: MemoryHubStore | None = None
        self.engine = self.restart()

    def restart(self) -> HubEngine:
        for replica in self.replicas:
            replica.link = None
        self.links, self.requests, self.flush = {}, [], False
        self.lives += 1
        self.engine = HubEngine(f"life {self.lives}", random.Random(self.lives))
        return self.engine

    def do(self, event: Event) -> None:
        for effect in self.engine.handle(event, self.now):
            match effect:
                case Send(members, frame):
                    for member in members:
                        if member in self.links:
                            self.links[member].down.append(frame)
                case Close(member):
                    self.links[member].closing = True
                case Pause(member):
                    self.links[member].paused = True
                case Unpause(member):
                    self.links[member].paused = False
                case FlushSoon():
                    self.flush = True
                case Admitted() | Notice() | Stopped():
                    pass
                case (
                    OpenRoom()
                    | ReadLog()
                    | CompareDocuments()
                    | FindDocuments()
                    | CheckUpdates()
                    | Append()
                    | Compact()
                ):
                    self.requests.append(effect)

    def step(self, calm: bool) -> bool:
        """Do one thing; False when, in the calm, nothing is left to do."""
        self.now += 0.01
        choices = []
        if self.requests:
            choices.append("answer")
        if self.flush:
            choices.append("flush")
        deadline = self.engine.deadline
        if deadline is not None and deadline <= self.now:
            choices.append("tick")
        choices += [f"up {n}" for n, link in self.links.items() if link.up and not link.paused]
        choices += [f"down {n}" for n, link in self.links.items() if link.down]
        choices += [f"end {n}" for n, link in self.links.items() if link.closing and not link.down]
        choices += [f"connect {i}" for i, replica in enumerate(self.replicas) if replica.link is None]
        if not calm:
            choices += ["type"] * 2 + [f"cut {n}" for n in self.links if self.rng.random() < 0.05]
            if self.rng.random() < 0.01:
                choices.append("restart")
            if self.rng.random() < 0.005:
                choices += ["back up", "restore"]
        elif not choices and deadline is not None:
            choices.append("tick")
            self.now = deadline
        if not choices:
            return False
        self.act(self.rng.choice(choices), calm)
        return True

    def act(self, choice: str, calm: bool) -> None:
        what, _, which = choice.partition(" ")
        match what:
            case "answer":
                # only requests of one kind are answered in their order
                kinds = sorted({type(request).__name__ for request in self.requests})
                kind = self.rng.choice(kinds)
                request = next(r for r in self.requests if type(r).__name__ == kind)
                self.requests.remove(request)
                if isinstance(request, Append) and not calm and self.rng.random() < 0.1:
                    self.do(AppendFailed("no space"))
                else:
                    self.do(answer(self.store, request))
            case "flush":
                self.flush = False
                self.do(Flush())
            case "tick":
                self.do(Tick())
            case "up":
                frame = self.links[int(which)].up.pop(0)
                if isinstance(frame, str):
                    self.do(TextFrame(int(which), frame))
                else:
                    self.do(BinaryFrame(int(which), frame, 5))
            case "down":
                link = self.links[int(which)]
                frame = link.down.pop(0)
                self.do(Sent((link.number,), len(frame)))
                for replica in self.replicas:
                    if replica.link is link:
                        replica.receive(frame)
            case "connect":
                self.connections += 1
                link = Link(self.connections)
                self.links[link.number] = link
                self.do(Connected(link.number))
                self.replicas[int(which)].connected(link)
            case "cut" | "end":
                link = self.links.pop(int(which))
                self.do(Closed(link.number))
                for replica in self.replicas:
                    if replica.link is link:
                        replica.link = None
            case "type":
                self.rng.choice(self.replicas).type(self.rng)
            case "restart":
                self.restart()
            case "back":
                self.backup = self.store.copy()
            case "restore":
                if self.backup is not None:
                    self.store = self.backup.copy()
                    self.restart()


@pytest.mark.parametrize("seed", range(40))
def test_every_replica_and_a_newcomer_end_with_the_same_texts(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 12)
    monkeypatch.setattr(limits, "FRAME_BATCH_BYTES", 150)
    monkeypatch.setattr(bounds, "QUEUE_LOW_BYTES", 100)
    monkeypatch.setattr(bounds, "QUEUE_HIGH_BYTES", 400)
    monkeypatch.setattr(bounds, "UNCOMMITTED_MAX_BYTES", 600)
    monkeypatch.setattr(bounds, "CHECK_INLINE_MAX_BYTES", 60)
    world = World(seed)
    for _ in range(700):
        world.step(calm=False)
    steps = 0
    while world.step(calm=True):
        steps += 1
        assert steps < 100_000, "it never comes to rest"
    newcomer = Replica(77)
    world.replicas.append(newcomer)
    while world.step(calm=True):
        pass
    for document in DOCUMENTS:
        assert {str(replica.texts[document]) for replica in world.replicas} == {str(newcomer.texts[document])}
    assert all(not replica.dirty for replica in world.replicas)
    assert world.engine.uncommitted_bytes == 0
