"""People who save one text at once, again and again: only documents, merges and the hub's order.

What takes a whole world to come about by chance, a save in the very instant of another's, is the rule here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from crdtsync.core.replica.placed import PlacedTexts
from crdtsync.core.replica.taking_back import doubled
from crdtsync.core.replica.unaccepted import Unaccepted
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.rebase import rebase
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.oracles import Ledger, check_kept, check_once
from crdtsync.testing.texts import TEXT_EDITS, edited, line
from crdtsync.testing.virtual_inodes import NodeKind

ENTRY = EntryId("a" * 24)


@dataclass
class Author:
    """One folder's copy of the text: what is on its disk, what its document has, and what the hub has not."""

    name: str
    document: TextDocument
    client: int
    hub: list[bytes]
    log: list[bytes]
    disk: str
    flying: list[Unaccepted] = field(default_factory=list)
    unsent: list[bytes] = field(default_factory=list)
    read: int = 0

    def save(self, text: str) -> None:
        base, self.disk = self.disk, text
        self._edit(rebase(base, text, self.document.text))

    def send(self) -> None:
        if self.unsent:
            self.hub.append(self.unsent.pop(0))

    def write(self) -> None:
        self.disk = self.document.text

    def receive(self) -> None:
        if self.read == len(self.hub):
            return
        update = self.hub[self.read]
        self.read += 1
        flying = [edit for edit in self.flying if edit.update != update]
        if len(flying) < len(self.flying):
            self.flying = flying
        elif update not in self.log:
            self.log.append(update)
            self.document.apply_update(update)
            self._take_back()

    def _take_back(self) -> None:
        placed = PlacedTexts(self.client, lambda _: self.log)
        theirs = placed.without(ENTRY, self.flying)
        if self.flying and theirs is not None:
            merged = self.document.text
            steps = placed.steps(ENTRY, self.flying, merged)
            assert steps is not None
            self._edit(doubled(merged, theirs, steps.edits, steps.inserted), takes_back=True)

    def _edit(self, edits: tuple[Edit, ...], *, takes_back: bool = False) -> None:
        before = self.document.text
        update = self.document.edit(edits)
        if update:
            self.log.append(update)
            self.unsent.append(update)
            self.flying.append(Unaccepted(before, self.document.text, update, update, takes_back))


def authors(text: str, people: int) -> list[Author]:
    first, hub = TextDocument(9).edit([Edit(0, 0, text)]), list[bytes]()
    return [
        Author(f"author {client}", TextDocument(client, [first]), client, hub, [first], text)
        for client in range(1, people + 1)
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_what_two_add_after_the_same_mark_follows_it_whoever_comes_first(first: int) -> None:
    """Both run a tool over the text and go on at its end, in one save each."""
    text = "one line\nlast line\n"
    marked = text.replace("\n", "  # linted\n")
    both = authors(text, 2)
    for author in both:
        author.save(f"{marked}{author.name} was here\n")
    both[first].send()
    both[1 - first].send()
    while any(author.unsent or author.read < len(author.hub) for author in both):
        for author in both:
            author.receive()
            author.send()
    merged, same = (author.document.text for author in both)
    assert merged == same
    assert sorted(merged.splitlines()) == sorted(
        [*marked.splitlines(), "author 1 was here", "author 2 was here"]
    )


def test_a_mark_of_both_stands_once_where_one_went_on_behind_it_and_the_next_line_is_torn() -> None:
    """One runs a tool over the text and goes on; the other does, too, but deletes a line."""
    both = authors("the same\nfor all\nlast\n", 2)
    both[0].save("the same [checked]\nfor all [linted]\nlast\n")
    both[0].save("the same [checked] and more\nfor all [linted]\nlast\n")
    both[1].save("the same [checked]\nlast\n")
    both[1].send()
    while any(author.unsent or author.read < len(author.hub) for author in both):
        for author in both:
            author.receive()
            author.send()
    assert {author.document.text for author in both} == {"the same and more [checked]\n [linted]last\n"}


@pytest.mark.parametrize(("people", "seed"), [*((2, seed) for seed in range(30)), (2, 590), (3, 205)])
def test_what_is_saved_at_once_is_there_once_and_nothing_is_lost(people: int, seed: int) -> None:
    rng, ledger = Random(seed), Ledger()
    text = "".join(line(ledger.new_token()) for _ in range(rng.randint(1, 5)))
    ledger.saved("first", b"", text.encode())
    everyone = authors(text, people)

    def go_on() -> None:
        author = rng.choice(everyone)
        rng.choice([author.send, author.receive, author.write])()

    for _ in range(rng.choice([3, 5, 8, 14])):
        author = rng.choice(everyone)
        now = edited(author.disk.encode(), rng, ledger.new_token, TEXT_EDITS)
        ledger.saved(author.name, author.disk.encode(), now)
        author.save(now.decode())
        for _ in range(rng.choice([0, 1, 2, 6, 12])):
            go_on()
    while any(author.unsent or author.read < len(author.hub) for author in everyone):
        go_on()
    (merged,) = {author.document.text for author in everyone}
    folder = {"file": (NodeKind.FILE, merged.encode(), False)}
    check_kept(ledger, folder, [])
    check_once(folder, ledger)
