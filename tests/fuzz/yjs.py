"""Compares with Yjs itself: what the hub accepts, Yjs applies without complaint and to the same text.

Yjs runs in Node, told what to do line by line (``yjs_peer.mjs``); where it is, ``where`` knows.
"""

from __future__ import annotations

import json
import random
import subprocess
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pycrdt import Doc, Map, Text

from crdtsync.core.hub.documents import problem_of
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import check_update, read_structs
from crdtsync.core.values.ids import DocumentId
from crdtsync.errors import MalformedUpdate
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.updates import Maker, mutate

DOCUMENT: Final = DocumentId("0a" * 12)


class Differs(AssertionError):
    """Yjs makes something else of updates that the hub accepts."""


class Yjs:
    """One Node process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("yjs_peer.mjs")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate()

    def judge(self, updates: Sequence[bytes], state: bytes) -> dict[str, Any]:
        """What Yjs makes of ``updates`` in that order, merged, and encoded again; and of a state of ours."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "updates": [b64encode(each).decode() for each in updates],
            "state": b64encode(state).decode(),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def accepted(updates: Sequence[bytes]) -> tuple[TextDocument, list[bytes]]:
    """Those that a hub stores and a replica takes in, and the replica's text."""
    document, taken = TextDocument(7), []
    for update in updates:
        if problem_of([(DOCUMENT, update)]) is None:
            try:
                document.apply_update(update)
            except MalformedUpdate:
                continue  # it contradicts what its client inserted before: see ``equivocates``
            taken.append(update)
    return document, taken


def equivocates(updates: Sequence[bytes]) -> bool:
    """Whether one ID stands for two different things. No check of single updates can see that."""
    seen: dict[tuple[int, int], tuple[int, int, bytes]] = {}
    for update in updates:
        for client, queue in read_structs(update)[0].items():
            for struct in queue:
                known = (struct.start, struct.end, struct.encoded)
                for clock in () if struct.gap else range(struct.start, min(struct.end, struct.start + 99)):
                    if seen.setdefault((client, clock), known) != known:
                        return True
    return False


def cuts_characters(updates: Sequence[bytes]) -> bool:
    """Whether a surrogate pair is cut: Yjs shows U+FFFD then, and we keep it whole."""
    cuts: set[tuple[int, int]] = set()
    halves: set[tuple[int, int]] = set()
    for update in updates:
        shape = check_update(update)
        cuts.update(shape.cuts)
        halves.update((client, half) for client, all_halves in shape.halves.items() for half in all_halves)
        for client, ranges in shape.inserts.items():
            cuts.update((client, clock) for each in ranges for clock in each)
    return bool(cuts & halves)


def compare_hostile(yjs: Yjs, entropy: bytes) -> None:
    """Of updates that are anything, Yjs may think what it likes, but it has to take them."""
    choices = Choices(entropy[1:], wild=(0, 60)[entropy[0] & 1] if entropy else 0)
    maker = Maker(choices)
    made: list[bytes] = []
    while len(made) < 6 and not choices.exhausted:
        parts = maker.update()
        made.append((mutate(parts, choices) if choices.chance(8) else parts).encode())
    document, updates = accepted(made)
    if equivocates(updates):
        return
    answer = yjs.judge(updates, document.encode_state())
    problems = [each for each in answer["problems"] if not each.startswith("edit")]
    if problems or answer["loud"]:
        raise Differs(f"{problems} {answer['loud']}: {[update.hex() for update in updates]}")


def compare_straight(yjs: Yjs, entropy: bytes) -> None:
    """Updates made up without malice, in any order: one text everywhere."""
    choices = Choices(entropy)
    maker = Maker(choices, straight=True)
    made: list[bytes] = []
    while len(made) < 6 and not choices.exhausted:
        made.append(maker.update().encode())
    _same_text(yjs, accepted(made)[1])


def compare_authors(yjs: Yjs, entropy: bytes) -> None:
    """What authors make with pycrdt while they hear of each other late, in any order, some of it twice."""
    rng = random.Random(entropy)
    docs: list[Doc[Any]] = [Doc(client_id=client) for client in (5, 2**32 + 6, 2**53 - 7)]
    updates: list[bytes] = []
    for doc in docs:
        doc.observe(lambda event: updates.append(event.update))
    for _ in range(rng.randrange(2, 25)):
        doc = rng.choice(docs)
        _edit(doc.get("content", type=Text), rng)
        if rng.random() < 0.3:
            other = rng.choice(docs)
            doc.apply_update(other.get_update(doc.get_state()))
    if rng.random() < 0.5:
        rng.shuffle(updates)
        updates += rng.sample(updates, len(updates) // 3)
    assert accepted(updates)[1] == updates, "an honest update is refused"
    _same_text(yjs, updates)


def _edit(text: Text, rng: random.Random) -> None:
    """Within characters of one byte or whole ones: pycrdt counts bytes."""
    length = len(text)
    match rng.randrange(8) if length else 7:
        case 0 | 1 if length > 3 and str(text).isascii() and len(str(text)) == length:
            start = rng.randrange(length - 1)
            del text[start : rng.randrange(start + 1, length)]
        case 2 if str(text).isascii():
            text.format(0, rng.randrange(1, length + 1), {"bold": rng.choice((True, None))})
        case 3:
            text.insert_embed(0, {"image": "x"})
        case 4:
            text.insert_embed(0, Map({"inside": Text("t")}))
        case _:
            text.insert(rng.choice((0, length)), rng.choice(("a", "hello ", "é", "😀", "\n", "x" * 50)))


def _same_text(yjs: Yjs, updates: Sequence[bytes]) -> None:
    document, _ = accepted(updates)
    answer = yjs.judge(updates, document.encode_state())
    texts = {name: answer.get(name) for name in ("text", "again", "second", "merged", "ours")}
    alike = cuts_characters(updates) or set(texts.values()) <= {document.text, None}
    if answer["problems"] or answer["loud"] or not alike:
        shown = [update.hex() for update in updates]
        raise Differs(f"{answer['problems']} {document.text!r} is {texts}: {shown}")
