"""What is agreed to stand where, and the paths below a folder, found without walking all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.trees import PathIndex, SyncedTree
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import EntryId

PATHS = st.lists(st.sampled_from(["a", "a/b", "a/b/c", "a/d", "e/f/g", "e/f", "h"]), max_size=30)


def toggle(here: set[str], index: PathIndex, path: str) -> None:
    if path in here:
        here.discard(path)
        index.discard(path)
    else:
        here.add(path)
        index.add(path)


@given(PATHS, st.integers(0, 30))
def test_an_index_that_is_asked_late_knows_as_much(toggled: list[str], asked: int) -> None:
    here: set[str] = set()
    index = PathIndex(here)
    for number, path in enumerate(toggled):
        toggle(here, index, path)
        if number >= asked:
            assert index.below("a") == sorted(each for each in here if each.startswith("a/"))
            assert sorted(index.inside("")) == index.below("")


@given(st.lists(st.tuples(st.sampled_from("efg"), st.sampled_from([1, 2, None])), max_size=12))
def test_files_are_known_by_inode_and_content_whenever_somebody_asks_first(
    changes: list[tuple[str, int | None]],
) -> None:
    """As each has an inode and a content of its own."""
    early, late = SyncedTree(), SyncedTree()
    agreements: dict[EntryId, Synced] = {}
    for name, size in changes:
        entry = EntryId(name * 24)
        if size is None:
            agreements.pop(entry, None)
            early.discard(entry)
            late.discard(entry)
        else:
            content, inode = f"{name}{size}", 10 * ord(name) + size
            seen = Fingerprint(1, inode, size, 0, 0, False)
            agreed = Synced(entry, name, Kind.TEXT, digest_of_text(content), False, b"", seen)
            agreements[entry] = agreed
            early.put(agreed)
            late.put(agreed)
        _knows(early, agreements)
    _knows(late, agreements)


def _knows(tree: SyncedTree, agreements: dict[EntryId, Synced]) -> None:
    for name in "efg":
        for size in (1, 2):
            seen = Fingerprint(1, 10 * ord(name) + size, size, 0, 0, False)
            digest = digest_of_text(f"{name}{size}")
            agreed = agreements.get(EntryId(name * 24))
            known = agreed if agreed is not None and agreed.digest == digest else None
            assert tree.with_inode(seen) == tree.with_digest(digest) == known


@given(PATHS)
def test_the_paths_below_each_folder_are_those_that_are_there(toggled: list[str]) -> None:
    here: set[str] = set()
    index = PathIndex(here)
    for path in toggled:
        toggle(here, index, path)
        for folder in ("", "a", "a/b", "e", "e/f", "nothing"):
            below = sorted(each for each in here if not folder or each.startswith(folder + "/"))
            assert index.below(folder) == below


def test_a_path_that_was_never_there_is_discarded_without_a_trace() -> None:
    here = {"a/b"}
    index = PathIndex(here)
    index.add("a/b")
    index.discard("x/y")
    index.discard("a/b")
    assert index.below("a") == ["a/b"], "it is still held"
    index.discard("x/y")  # once somebody has asked
    here.clear()
    index.discard("a/b")
    assert index.below("a") == index.below("") == []


@given(st.lists(st.tuples(st.sampled_from("efg"), st.sampled_from(["a", "b", None])), max_size=12))
def test_a_path_is_known_while_anything_is_agreed_to_be_there(
    changes: list[tuple[str, str | None]],
) -> None:
    """Two are at one path after a kill, or a failed step: what stands there and what was to be put there."""
    tree, where = SyncedTree(), dict[str, str]()
    for name, path in changes:
        entry = EntryId(name * 24)
        if path is None:
            tree.discard(entry)
            where.pop(entry, None)
        else:
            tree.put(Synced(entry, path, Kind.TEXT, None, False, b"", None))
            where[entry] = path
        for path in ("a", "b"):
            claim = {entry for entry, claimed in where.items() if claimed == path}
            assert (tree.at(path) in claim) if claim else tree.at(path) is None
        assert tree.below("") == sorted(set(where.values()))
