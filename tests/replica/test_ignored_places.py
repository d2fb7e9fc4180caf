"""A file that is shared here, and that others have moved to where it is ignored on this disk."""

from __future__ import annotations

import pytest

from tests.replica.stories import shared
from tests.simulation.scene import Scene


def moved_to_what_b_ignores() -> Scene:
    """``a`` has renamed ``a.md``, and ``b``, which is offline, made a rule meanwhile."""
    scene = shared()
    scene.b.link.unplug()
    scene.a.disk.make_folder("build")
    scene.a.disk.rename("a.md", "build/a.md")
    scene.save(scene.b, ".gitignore", "build/\n")
    scene.wait(10.0)
    return scene


def test_it_goes_where_the_room_has_it_although_that_is_ignored() -> None:
    scene = moved_to_what_b_ignores()
    scene.b.link.online = True
    scene.rest()
    assert scene.paths(scene.b) == [".gitignore", "build/a.md"]
    scene.save(scene.b, "a.md", "another\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "another\n"


def test_it_is_shared_again_once_nobody_ignores_it() -> None:
    scene = moved_to_what_b_ignores()
    scene.b.link.online = True
    scene.rest()
    scene.save(scene.b, "build/a.md", "one\ntwo\nthree\n")
    scene.rest_apart()
    assert scene.read(scene.a, "build/a.md") == "one\ntwo\n"
    scene.save(scene.b, ".gitignore", "")
    scene.rest()
    assert scene.read(scene.a, "build/a.md") == "one\ntwo\nthree\n"


def test_what_was_saved_before_it_went_there_is_sent_first() -> None:
    scene = moved_to_what_b_ignores()
    scene.save(scene.b, "a.md", "one\ntwo\nthree\n")
    scene.b.link.online = True
    scene.rest_apart()
    assert scene.read(scene.b, "build/a.md") == "one\ntwo\nthree\n"
    scene.save(scene.b, ".gitignore", "")
    scene.rest()
    assert scene.read(scene.a, "build/a.md") == "one\ntwo\nthree\n"


@pytest.mark.parametrize("rule", ["*.log\n", "/a.log\n"])
def test_a_private_file_that_stands_there_stays_and_it_goes_beside_that(rule: str) -> None:
    scene = shared()
    scene.b.link.unplug()
    scene.save(scene.b, ".gitignore", rule)
    scene.save(scene.b, "a.log", "private\n")
    scene.a.disk.rename("a.md", "a.log")
    scene.wait(10.0)
    scene.b.link.online = True
    scene.rest_apart()
    here = scene.files(scene.b)
    assert here.pop(".gitignore") == rule.encode() and here.pop("a.log") == b"private\n"
    assert list(here.values()) == [b"one\ntwo\n"]
    steps = scene.b.performed
    scene.rest_apart()
    assert scene.b.performed == steps, "nobody tries again what cannot be"
    scene.save(scene.a, "a.md", "another\n")
    scene.rest_apart()
    assert scene.read(scene.b, "a.md") == "another\n"


def test_a_copy_whose_name_is_ignored_makes_room_for_the_file_of_the_others() -> None:
    scene = shared()
    scene.save(scene.a, ".gitignore", "x/*\n!x/keep.log\n")
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.a, "x/keep.log", "of a\n")
    scene.save(scene.b, "x/keep.log", "of b, and nothing else\n")
    scene.wait(10.0)
    scene.a.link.online = True
    scene.rest_apart()
    assert scene.read(scene.a, "x/keep.log") == scene.read(scene.b, "x/keep.log")
    kept = {node.data for _, node in scene.a.disk.files()} | {node.data for _, node in scene.b.disk.files()}
    assert {b"of a\n", b"of b, and nothing else\n"} <= kept
    scene.save(scene.a, ".gitignore", "")
    scene.rest()
    assert len(scene.paths(scene.b)) == 4


def test_what_others_move_out_of_what_came_to_be_ignored_here_comes_beside_it() -> None:
    scene = shared()
    scene.b.link.unplug()
    scene.save(scene.b, ".gitignore", "a.md\n")
    scene.a.disk.rename("a.md", "b.md")
    scene.wait(10.0)
    scene.save(scene.b, "a.md", "mine\n")
    scene.b.link.online = True
    scene.rest_apart()
    assert scene.read(scene.b, "b.md") == "one\ntwo\n"
    assert scene.read(scene.b, "a.md") == "mine\n"
    assert scene.paths(scene.a) == [".gitignore", "b.md"]
