"""What is agreed to stand where, and the paths below a folder, found without walking all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.trees import PathIndex, SyncedTree
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId

PATHS = st.lists(st.sampled_from(["a", "a/b", "a/b/c", "a/d", "e/f/g", "e/f", "h"]), max_size=30)


@given(PATHS)
def test_the_paths_below_each_folder_are_those_that_are_there(toggled: list[str]) -> None:
    here: set[str] = set()
    index = PathIndex(here)
    for path in toggled:
        if path in here:
            here.discard(path)
            index.discard(path)
        else:
            here.add(path)
            index.add(path)
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
