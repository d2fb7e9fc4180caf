"""What power cuts did to blobs, empty folders and executable bits, each as the shortest story."""

from __future__ import annotations

import pytest

from tests.replica.stories import power_cut, state_of
from tests.simulation.scene import Scene

LINES = "one of ann\ntwo of ann\n"


def saved(scene: Scene, path: str, data: bytes) -> None:
    """``b`` saves it in place: the hub has it, and a power cut may take it from the disk of ``b``."""
    before = state_of(scene.b).synced.at(path)
    scene.save(scene.b, path, data)
    assert before is not None
    assert scene.within(2.0, lambda: before in state_of(scene.b).undurable)
    scene.wait(0.1)


@pytest.mark.parametrize("left", [b"", b"\0two", b"\0two" + bytes(9), b"two"])
def test_of_a_blob_that_a_power_cut_tore_as_it_was_saved_what_the_room_has_is_kept(left: bytes) -> None:
    """Nobody else has it on a disk yet."""
    scene = Scene()
    scene.save(scene.b, "x.bin", b"\0one")
    scene.rest()
    scene.wait(5.0)
    scene.a.kill()
    saved(scene, "x.bin", b"\0two and more")
    power_cut(scene)
    scene.save(scene.b, "x.bin", left)
    scene.b.start()
    scene.wait(5.0)
    scene.a.start()
    scene.rest()
    found = sorted(scene.files(scene.a).values())
    assert found == sorted([b"\0two and more", *([left] if left else [])])


def test_a_blob_that_a_power_cut_emptied_was_emptied_by_nobody() -> None:
    scene = Scene()
    scene.save(scene.a, "x.bin", b"\0one")
    scene.rest()
    scene.wait(5.0)
    power_cut(scene)
    scene.save(scene.b, "x.bin", b"")
    scene.b.start()
    scene.rest()
    assert scene.files(scene.a) == {"x.bin": b"\0one"}


@pytest.mark.parametrize("edited", [b"", b"\0two"])
def test_whoever_empties_a_blob_that_was_read_since_a_power_cut_has_emptied_it(edited: bytes) -> None:
    scene = Scene()
    scene.save(scene.a, "x.bin", b"\0one")
    scene.rest()
    scene.wait(5.0)
    power_cut(scene)
    if edited:
        scene.save(scene.b, "x.bin", edited)
    scene.b.start()
    scene.rest()
    scene.save(scene.b, "x.bin", b"")
    scene.rest()
    assert scene.files(scene.a) == {"x.bin": b""}


@pytest.mark.parametrize("taken", [True, False])
def test_an_empty_folder_that_a_power_cut_took_was_removed_by_nobody(taken: bool) -> None:
    scene = Scene()
    scene.a.disk.make_folder("empty")
    assert scene.within(5.0, lambda: scene.b.disk.is_folder("empty") and not scene.writing(scene.b))
    power_cut(scene)
    if taken:
        scene.b.disk.take("empty")
    scene.b.start()
    scene.rest()
    assert scene.a.disk.is_folder("empty")


@pytest.mark.parametrize("first", [LINES, "\0one"])
@pytest.mark.parametrize("new", [False, True])
def test_an_executable_bit_that_a_power_cut_took_back_was_taken_by_nobody(first: str, new: bool) -> None:
    scene = Scene()
    scene.save(scene.a, "x", first)
    if not new:
        scene.rest()
        scene.wait(5.0)
    scene.a.disk.set_executable("x", True)

    def arrived() -> bool:
        node = scene.b.disk.get("x")
        return node is not None and node.executable and not scene.writing(scene.b)

    assert scene.within(3.0, arrived)
    power_cut(scene)
    scene.b.disk.set_executable("x", False)
    scene.b.start()
    scene.rest()
    assert scene.a.disk.nodes["x"].executable


def test_whoever_takes_an_executable_bit_after_a_power_cut_that_left_it_has_taken_it() -> None:
    scene = Scene()
    scene.save(scene.a, "x", LINES)
    scene.a.disk.set_executable("x", True)
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "x", LINES + "three of bob\n")
    assert scene.within(2.0, lambda: (scene.read(scene.a, "x") or "").endswith("bob\n"))
    power_cut(scene)
    scene.b.disk.set_executable("x", False)
    scene.b.start()
    scene.rest()
    assert not scene.a.disk.nodes["x"].executable
