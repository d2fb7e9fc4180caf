"""Events that waited together, made one; and that a replica that takes them so ends where the others do."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.steps import Done
from crdtsync.core.replica.together import TOGETHER_MAX, WEIGHT_BYTES, together
from crdtsync.core.values.digests import digest_of
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

ONE, TWO, THREE = (ev.Hint(path, ev.HintKind.CLOSED) for path in "abc")


def test_those_that_follow_each_other_become_one_event_in_order() -> None:
    fetched, frame = ev.Fetched(digest_of(b"")), ev.BinaryFrame(b"frame")
    assert together([]) == []
    assert together([ONE]) == [ONE]
    assert together([ONE, frame, fetched]) == [ev.Several((ONE, frame, fetched))]
    assert together([ONE, TWO, ev.Tick(), THREE]) == [ev.Several((ONE, TWO)), ev.Tick(), THREE]
    assert together([ev.HintsLost(), TWO, THREE]) == [ev.HintsLost(), ev.Several((TWO, THREE))]


def test_what_takes_long_is_not_joined_with_more_than_is_good_for_others() -> None:
    steps = ev.StepsDone(tuple((number, Done()) for number in range(TOGETHER_MAX // 2)))
    assert together([steps, steps, steps, ONE]) == [ev.Several((steps, steps)), ev.Several((steps, ONE))]
    frame = ev.BinaryFrame(bytes(TOGETHER_MAX * WEIGHT_BYTES))
    assert together([frame, frame]) == [frame, frame]


def test_who_takes_in_together_what_comes_within_a_tenth_of_a_second_has_what_all_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    at_once = VirtualReplica.handle
    waiting: dict[str, list[ev.Event]] = {}
    taken: list[int] = []

    def later(replica: VirtualReplica, event: ev.Event) -> None:
        if replica.name not in waiting:
            waiting[replica.name] = []
            scene.clock.after(0.1, lambda: take(replica))
        waiting[replica.name].append(event)

    def take(replica: VirtualReplica) -> None:
        for event in together(waiting.pop(replica.name)):
            taken.append(len(event.events) if isinstance(event, ev.Several) else 1)
            at_once(replica, event)

    monkeypatch.setattr(VirtualReplica, "handle", later)
    for number in range(30):
        scene.save(scene.a, f"a{number}.md", f"one\ntwo {number}\n")
        scene.save(scene.b, f"b{number}.bin", bytes([0, number]))
    scene.rest()
    for number in range(30):
        scene.save(scene.a, f"a{number}.md", f"one by a\ntwo {number}\n")
        scene.save(scene.b, f"a{number}.md", f"one\ntwo {number}\nthree by b\n")
        scene.save(scene.b, f"b{number}.bin", bytes([0, number, 1]))
    scene.rest()
    assert len(scene.paths(scene.a)) == 60
    for number in range(30):
        for replica in (scene.a, scene.b):
            assert scene.read(replica, f"a{number}.md") == f"one by a\ntwo {number}\nthree by b\n"
    assert max(taken) > 30
