"""Many keystrokes of others, few writes: the first at once, the rest together, and none is lost."""

from __future__ import annotations

from crdtsync.core.replica.pacing import Pacing
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId
from tests.simulation.scene import Scene

A, B = EntryId("0a" * 12), EntryId("0b" * 12)
REST_S = limits.REST_AFTER_WRITE_S


def test_a_text_rests_after_a_write_and_is_told_when_it_has() -> None:
    pacing = Pacing()
    assert not pacing.rests(A, 1.0)
    pacing.wrote(A, 1.0)
    assert pacing.rests(A, 1.0)
    assert not pacing.rests(B, 1.0)
    assert (len(pacing), pacing.deadline) == (1, 1.0 + REST_S)
    assert pacing.tick(1.0) == set()
    assert pacing.tick(1.0 + REST_S) == {A}
    assert (len(pacing), pacing.deadline) == (0, None)
    assert not pacing.rests(A, 1.0 + REST_S)


def test_who_does_not_wait_is_forgotten() -> None:
    pacing = Pacing()
    pacing.wrote(A, 1.0)
    pacing.wrote(B, 1.01)
    assert pacing.deadline is None
    assert pacing.tick(2.0) == set()
    assert not pacing.rests(A, 2.0)


def test_a_storm_of_keystrokes_is_few_writes_and_ends_as_it_should() -> None:
    scene = Scene()
    scene.save(scene.a, "a.txt", "")
    scene.rest()
    files = []  # each write puts another one there
    text = ""
    for number in range(200):
        text += f"{number} "
        scene.save(scene.a, "a.txt", text)
        scene.wait(0.005)
        file = scene.b.disk.get("a.txt")
        if file not in files:
            files.append(file)
    scene.rest()
    assert scene.read(scene.b, "a.txt") == text
    assert 10 < len(files) <= 1.0 / REST_S + 2
