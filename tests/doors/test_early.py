"""What a client sends before that on which it builds is kept, and told to others once that is there.

A client of Yrs integrates past a gap in the clocks of another, and then drops what fills it.
"""

from __future__ import annotations

import pytest

from crdtsync.core.hub.admission import HERE
from crdtsync.core.hub.events import Connected, YjsDoor
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.yjs import SyncUpdate, encode_yjs
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench, Replica


class Early:
    """Ann has typed twice, and says that in any order; Bob looks on."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.folder = Folder(self.bench)
        self.entry = self.folder.create("a.txt", "x")
        self.ann, self.bob = YjsClient(self.bench, Page(5)), YjsClient(self.bench, Page(6))
        self.first, self.second = self.ann.page.type("a"), self.ann.page.type("b", 0)

    def says(self, client: YjsClient, update: bytes) -> None:
        client.say(SyncUpdate(update))
        self.bench.settle()


def test_it_is_told_after_what_it_waits_for() -> None:
    early = Early()
    early.says(early.ann, early.second)
    assert early.bob.all(SyncUpdate) == []
    early.says(early.ann, early.first)
    assert early.bob.page.text == "bxa" == early.folder.read()["a.txt"]


@pytest.mark.parametrize("by_folder", [False, True])
def test_whoever_comes_meanwhile_is_told_of_none_of_it(by_folder: bool) -> None:
    early = Early()
    if by_folder:
        early.bench.join().push((DocumentId(early.entry), early.second))
        early.bench.settle()
    else:
        early.says(early.ann, early.second)
    carl = YjsClient(early.bench, Page(7))
    assert (carl.page.text, carl.all(SyncUpdate)) == ("x", [])
    early.says(early.ann, early.first)
    assert carl.page.text == early.bob.page.text == "bxa" == early.folder.read()["a.txt"]


def test_whoever_catches_up_meanwhile_is_told_of_none_of_it() -> None:
    early = Early()
    carl = YjsClient(early.bench, Page(7))
    early.bob.reads = False
    for _ in range(5):
        carl.type("y" * 100_000)
    early.says(early.ann, early.second)
    early.bob.read()
    early.bench.settle()
    assert early.bob.page.text == carl.page.text == "x" + "y" * 500_000
    early.says(early.ann, early.first)
    assert early.bob.page.text == carl.page.text == early.folder.read()["a.txt"]
    assert early.bob.page.text.startswith("bx")


def test_it_is_kept_when_its_author_and_the_hub_have_ended() -> None:
    early = Early()
    early.says(early.ann, early.second)
    later = Bench(early.bench.store)
    bob = YjsClient(later, early.bob.page)
    assert bob.page.text == "x"
    bob.say(SyncUpdate(early.first))
    later.settle()
    assert YjsClient(later, Page(8)).page.text == "bxa" == Folder(later).read()["a.txt"]


def test_what_a_client_says_before_it_asks_for_the_text_is_asked_for_again() -> None:
    early = Early()
    hasty = Replica(early.bench, 77)
    early.bench.replicas[77] = hasty
    early.bench.do(Connected(77, HERE, YjsDoor("notes", "a.txt", None)))
    early.bench.settle()
    early.bench.hear(77, encode_yjs(SyncUpdate(early.first)))
    early.bench.settle()
    assert early.bob.page.text == "x" and hasty.closed is None
    early.says(early.ann, early.first)
    assert early.bob.page.text == "xa"
