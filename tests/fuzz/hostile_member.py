"""A member that does its worst to a hub, beside honest ones in its room and another, and what must hold.

The hub is its real engine over a store in memory (``tests.hub.bench``); what is sent is made of decisions.
"""

from __future__ import annotations

from crdtsync.core.hub import bounds
from crdtsync.core.hub.events import BinaryFrame, TextFrame
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.codec import encode_from_replica
from crdtsync.core.wire.control import Hello, encode_control
from crdtsync.core.wire.messages import Push
from crdtsync.errors import MalformedUpdate
from crdtsync.testing.fuzzing import frames
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.updates import Maker, mutate
from tests.hub.bench import AT_MS, Bench, Replica

SECRET = "what only the other room may know"
TEXTS = tuple(DocumentId(f"{number:024x}") for number in range(3))


class Honest:
    """A member with texts of its own, which it edits."""

    def __init__(self, bench: Bench, room: str, client_id: int) -> None:
        self.replica = bench.join(room)
        self.texts = {document: TextDocument(client_id) for document in TEXTS}
        self.typed: list[tuple[DocumentId, str]] = []
        self._bench = bench
        self._read = 0

    def type(self, document: DocumentId, characters: str) -> None:
        self.read()
        text = self.texts[document]
        end = len(text.text)
        update = text.edit([Edit(end, end, characters)])
        self.replica.push((document, update))
        self._bench.settle()

    def read(self) -> None:
        """Take in what the hub has sent since, as a replica does."""
        entries = self.replica.entries
        for entry in entries[self._read :]:
            if entry.document in self.texts:
                try:
                    self.texts[entry.document].apply_update(entry.update)
                except MalformedUpdate as error:
                    # one ID for two things, told apart only beside what came before: refused by all alike
                    assert "inside a character" in str(error)
        self._read = len(entries)


class HostileMember:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.bench = Bench()
        self.ann, self.bob = Honest(self.bench, "notes", 101), Honest(self.bench, "notes", 102)
        self.cid, self.dan = Honest(self.bench, "other", 103), Honest(self.bench, "other", 104)
        for number, document in enumerate(TEXTS):
            self.ann.type(document, f"ann {number} é😀 ")
            self.cid.type(document, SECRET)
        self._makers = {document: Maker(choices, {101: 8}) for document in (*TEXTS, TREE)}
        self._typed = 0
        self._lines: list[Replica] = []
        self._line = self._connect()

    def _connect(self) -> Replica:
        line = self.bench.connect()
        self._lines.append(line)
        if not self._choices.chance(8):
            line.hello("notes")
        self.bench.settle()
        return line

    def misbehave(self) -> None:
        choices, line = self._choices, self._line
        match choices.below(16):
            case 0:
                line.leave()
                self._line = self._connect()
            case 1:
                line.reads = not line.reads
                if line.reads:
                    line.read()
            case 2:
                self.bench.tick(choices.pick((0.01, 1.0, 11.0)))
            case 3:
                self._text(frames.damaged(frames.control(choices), choices))
            case 4:
                hello = Hello(
                    room=choices.pick(("notes", "../other", "other ", "x")), replica="r", name="\x1b[2J"
                )
                self._text(encode_control(hello).encode())
            case 5 | 6:
                self._typed += 1
                honest = choices.pick((self.ann, self.bob))
                honest.type(choices.pick(TEXTS), f"<{self._typed}>")
            case 7:
                self._binary(choices.take(40))
            case 8 | 9:
                self._binary(frames.damaged(frames.from_replica(choices), choices))
            case 10 if choices.chance(4):
                self._binary(
                    encode_from_replica(Push(1, ((TEXTS[0], bytes(choices.pick((70_000, 9_000)))),) * 40))
                )
            case _:
                document = choices.pick((*TEXTS, TREE))
                parts = self._makers[document].update()
                update = (mutate(parts, choices) if choices.chance(4) else parts).encode()
                self._binary(encode_from_replica(Push(choices.below(9), ((document, update),))))
        self.bench.settle()
        self.check()
        if self._line.closed is not None:
            self._line = self._connect()

    def _text(self, data: bytes) -> None:
        if not self._line.paused and self._line.closed is None:
            text = data.decode("utf-8", "replace")
            self.bench.do(TextFrame(self._line.number, text))

    def _binary(self, data: bytes) -> None:
        if not self._line.paused and self._line.closed is None:
            self.bench.do(BinaryFrame(self._line.number, data, AT_MS))

    # -- what must hold ---------------------------------------------------------------------------------

    def check(self) -> None:
        """After every step: nobody honest is let go, nothing grows beyond its bound."""
        for honest in (self.ann, self.bob, self.cid, self.dan):
            assert honest.replica.closed is None, honest.replica.closed
            assert not honest.replica.paused
        for line in self._lines:
            assert line.waiting_size <= bounds.QUEUE_HIGH_BYTES + limits.FRAME_MAX_BYTES
        assert self.bench.engine.uncommitted_bytes == 0
        assert self.bench.engine.members <= 4 + len(self._lines)

    def judge(self) -> None:
        bench = self.bench
        self.ann.type(TEXTS[0], "still here")
        self.cid.type(TEXTS[0], "and here")
        newcomer = Honest(bench, "notes", 105)
        for honest in (self.ann, self.bob, self.cid, self.dan, newcomer):
            honest.read()
        for document in TEXTS:
            ann, bob = self.ann.texts[document].text, self.bob.texts[document].text
            assert ann == bob == newcomer.texts[document].text
            assert self.cid.texts[document].text == self.dan.texts[document].text
        assert self.bob.texts[TEXTS[0]].text.count("still here") == 1
        assert self.dan.texts[TEXTS[0]].text == SECRET + "and here"
        for line in self._lines:
            assert SECRET not in repr(line.got)
            assert SECRET.encode() not in b"".join(f for f in line.waiting if isinstance(f, bytes))
        assert {entry.document for entry in self.dan.replica.entries} <= set(TEXTS)


def run(entropy: bytes) -> None:
    """One case. Raises whatever shows that a member can do what it must not."""
    choices = Choices(entropy[1:], wild=(0, 16, 80)[entropy[0] % 3] if entropy else 0)
    member = HostileMember(choices)
    while not choices.exhausted:
        member.misbehave()
    member.judge()
