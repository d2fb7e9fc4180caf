"""The paths below a folder, found without walking all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.replica.trees import PathIndex

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
