"""Stories of saves in the instant of a write, as simulated worlds told them."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from random import Random

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.testing.trouble import Trouble
from crdtsync.testing.virtual_filesystem import error
from crdtsync.testing.virtual_kernel import Primitive
from tests.simulation.scene import Scene
from tests.simulation.test_small_worlds import SmallWorld


def racing(scene: Scene, text: str, *, unplugging: bool = False) -> list[str]:
    """Once, someone saves that at ``b`` in the instant in which the note is written; tells whether it was.
    ``unplugging``: the hub is away from then on."""
    saved: list[str] = []

    def race(path: str) -> None:
        if path == "note.md" and not saved:
            saved.append(path)
            scene.save(scene.b, path, text)
            if unplugging:
                scene.b.link.unplug()

    scene.b.race = race
    return saved


def test_an_old_buffer_saved_in_the_instant_of_a_write_takes_nothing_of_others_back() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", "first\nsecond\nthird\n")
    scene.rest()
    scene.save(scene.a, "note.md", "added by a\nfirst\nsecond\nthird\n")
    scene.rest()
    saved = racing(scene, "first\nsecond\nnew in the old buffer\nthird\n")
    scene.save(scene.a, "note.md", "added by a\nfirst\nthird\n")
    scene.rest()
    assert saved
    assert scene.read(scene.a, "note.md") == "added by a\nfirst\nnew in the old buffer\nthird\n"


def test_a_save_of_an_old_buffer_that_only_a_step_saw_is_known_when_it_is_saved_again() -> None:
    """The second save has a line just where others had put theirs, which that buffer never had."""
    scene = Scene()
    assert scene.b.engine is not None
    steps = scene.b.engine.state.steps
    saved = "the same\nline 52a1 b 3d8b of text\nfor all\n"
    scene.save(scene.a, "note.md", "the same\nfor all\n")
    scene.rest()
    scene.save(scene.a, "note.md", "line bb4d a bd90 of text\nthe same\nfor all\n")
    scene.rest()
    scene.b.work_s = 0.5
    scene.save(scene.a, "note.md", "line bb4d a bd90 of text\nthe same\nfor all and more\n")
    assert scene.within(5.0, lambda: bool(steps))
    scene.save(scene.b, "note.md", saved)
    assert scene.within(5.0, lambda: not steps)
    scene.save(scene.b, "note.md", "line 4e43 b 9697 of text\n" + saved)
    scene.rest()
    text = scene.read(scene.a, "note.md") or ""
    assert sorted(text.splitlines()) == [
        "for all and more",
        "line 4e43 b 9697 of text",
        "line 52a1 b 3d8b of text",
        "line bb4d a bd90 of text",
        "the same",
    ]


def test_what_a_save_added_in_the_instant_of_a_write_is_not_taken_out_by_another_file() -> None:
    """That one comes to the path before the merged text does, and is nearer to the save than to that."""
    scene = Scene()
    another = "".join(f"line {number}f2a c {number}b7e of text\n" for number in range(4))
    scene.save(scene.a, "note.md", "line ae18 a 9e30 of text\nfirst\n")
    scene.rest()
    saved = racing(scene, "line ae18 a 9e30 of text\nline f0da b 180a of text\nfirst\n")
    lines = "".join(f"line {number}1ad a {number}c2f of text\n" for number in range(5))
    scene.save(scene.a, "note.md", lines + "line ae18 a 9e30 of text, gone on\n")
    assert scene.within(5.0, lambda: "f0da" in (scene.read(scene.a, "note.md") or ""))
    assert saved and "f0da" not in (scene.read(scene.b, "note.md") or "")
    scene.save(scene.b, "note.md", another)
    scene.rest()
    assert scene.read(scene.a, "note.md") == another + "line f0da b 180a of text\n"


@dataclass(frozen=True)
class OnceRacing(Trouble):
    """What was replaced cannot be read once it was seen to be another file than the one that was expected."""

    met: list[str] = field(default_factory=list)

    def meet(self, primitive: Primitive, rng: Random) -> None:
        if primitive.name == "open_for_writing_elsewhere":
            self.met.append(primitive.name)
        elif primitive.name == "read" and len(self.met) == 1:
            self.met.append(primitive.name)
            raise error(self.number, primitive.name)


def test_a_save_in_the_instant_of_a_write_that_cannot_be_read_then_is_read_soon_and_not_after_seconds() -> (
    None
):
    scene = Scene()
    scene.save(scene.a, "note.md", "one\n")
    scene.rest()

    def race(path: str) -> None:
        if path == "note.md" and scene.b.trouble is None:
            scene.b.trouble = OnceRacing(errno.EIO, 1.0)
            scene.save(scene.b, path, "one\nof b\n")

    scene.b.race = race
    scene.save(scene.a, "note.md", "of a\none\n")
    assert scene.within(1.0, lambda: scene.read(scene.a, "note.md") == "of a\none\nof b\n")
    assert isinstance(scene.b.trouble, OnceRacing)
    assert "read" in scene.b.trouble.met


@pytest.mark.parametrize("moment", [1, 10, 40])
def test_a_name_that_is_free_is_taken_at_once_however_often_it_was_not(moment: int) -> None:
    world = SmallWorld(2)
    a, b = world.people
    world.swap(a)
    numbers = world.flush_all()
    world.clock.after_events(moment, lambda: world.rename(b, "note.md", "blob.bin"))
    world.until_flushed(numbers)
    world.judge()


def test_a_file_that_is_being_written_takes_no_place_of_another_meanwhile() -> None:
    scene = Scene()
    scene.a.work_s = 5.0
    for path in ("moved", "source"):
        scene.save(scene.b, path, f"{path}\n")
        scene.wait(1.0)
    assert scene.paths(scene.a) == []
    scene.b.handle(ev.DeleteFiles(1, "moved"))
    assert scene.within(3.0, lambda: scene.paths(scene.b) == ["source"] and not scene.writing(scene.b))
    scene.b.handle(ev.MoveFiles(1, "source", "moved"))
    scene.rest()
    assert scene.paths(scene.a) == ["moved"] and scene.read(scene.a, "moved") == "source\n"


def test_an_edit_survives_a_deletion_by_someone_who_had_not_seen_it() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", "first\n")
    scene.rest()
    scene.b.link.latency_s = 0.6
    scene.save(scene.b, "note.md", "first\nadded by b\n")
    scene.a.disk.take("note.md")
    scene.rest()
    assert scene.read(scene.a, "note.md") == "first\nadded by b\n"


def test_a_line_that_a_tool_saved_in_the_instant_of_a_write_is_not_taken_out_by_who_never_saw_it() -> None:
    """With the hub away both wait; the next save is told apart by its texts alone, and may seem to be made
    from the tool's, since it has the same mark."""
    first = "line b456 of text\nthe same\nfor all\n"
    theirs = "line b456 of text\nline e713 of text\nthe same with line 58d2 of text\n"
    marked = "line b456 of text [checked 83051]\n"
    scene = Scene()
    scene.save(scene.b, "note.md", first)
    scene.rest()
    scene.wait(3.0)
    saved = racing(scene, marked + "the same [checked 98724]\nfor all [checked 83724]\n", unplugging=True)
    scene.save(scene.a, "note.md", theirs)
    assert scene.within(5.0, lambda: bool(saved) and scene.read(scene.b, "note.md") == theirs)
    scene.wait(1.0)
    scene.save(scene.b, "note.md", "line 4747 of text\n" + marked)
    scene.wait(1.0)
    scene.b.link.online = True
    scene.rest()
    assert "for all [checked 83724]\n" in (scene.read(scene.a, "note.md") or "")
