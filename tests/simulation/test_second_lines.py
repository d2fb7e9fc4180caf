"""Stories of moments that are too short to be met by chance: each is met here at every point it has.

``test_mutants`` takes the first line of defence away, or the second, or both.
"""

from __future__ import annotations

from tests.replica.stories import LINES
from tests.simulation.scene import Scene

OURS = LINES.replace("line 5 of", "line 5, as we saved it, of")
THEIRS = LINES.replace("line 0 of", "line 0, as they saved it, of")
BOTH = OURS.replace("line 0 of", "line 0, as they saved it, of")


def raced(at: int) -> bool:
    """``b`` saves before that primitive of the step that writes what ``a`` saved; False if there is none."""
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    met = False

    def save() -> None:
        nonlocal met
        met = True
        scene.save(scene.b, "note.md", OURS)

    scene.b.at_primitive(at, save, of_steps=True)
    scene.save(scene.a, "note.md", THEIRS)
    scene.wait(3.0)
    if met:
        scene.rest()
        texts = [scene.read(replica, "note.md") for replica in (scene.a, scene.b)]
        assert texts == [BOTH, BOTH], f"before primitive {at}: {texts}"
    return met


def at_the_exchange() -> None:
    for at in range(7, 12):
        raced(at)


def test_a_save_at_any_moment_of_a_replacement_is_in_the_file() -> None:
    at = 0
    while raced(at):
        at += 1
    assert at > 12


def test_what_the_hub_lost_before_it_was_durable_comes_again_from_who_had_saved_it() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.hub.commit_s = 2.0
    scene.b.link.cut()
    scene.save(scene.a, "note.md", THEIRS)
    scene.wait(0.5)
    scene.hub.kill()
    scene.hub.commit_s = 0.002
    scene.hub.start()
    scene.rest()
    assert scene.read(scene.b, "note.md") == THEIRS


def test_the_same_change_made_while_one_was_cut_off_is_there_once() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    formatted = LINES.replace(" of the text", "; of the text, formatted")
    scene.b.link.cut()
    scene.save(scene.b, "note.md", formatted)
    scene.save(scene.a, "note.md", formatted)
    scene.rest()
    assert scene.read(scene.a, "note.md") == formatted
