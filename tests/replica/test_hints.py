"""What a replica makes of hints, of lost ones, of a lost folder, and of a network that comes and goes."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import engine as engines
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.looking import Looking, Wait
from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_from_hub
from crdtsync.core.wire.messages import Probed
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import shared
from tests.simulation.scene import Scene


def deaf() -> Scene:
    """``a`` hears nothing of its disk by itself."""
    scene = shared()
    scene.a.pace.watch_delay_s = 1e6
    scene.wait(60.0)
    return scene


def test_of_files_that_several_hints_tell_of_each_is_looked_at() -> None:
    scene = deaf()
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.save(scene.a, "b.md", "new\n")
    scene.wait(30.0)
    assert scene.paths(scene.b) == ["a.md"]
    scene.a.handle(ev.Several((ev.Hint("a.md", ev.HintKind.CLOSED), ev.Hint("b.md", ev.HintKind.CLOSED))))
    scene.wait(5.0)
    assert (scene.read(scene.b, "a.md"), scene.read(scene.b, "b.md")) == ("one\ntwo\nthree\n", "new\n")


def test_after_hints_were_lost_everything_is_looked_at() -> None:
    scene = deaf()
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.save(scene.a, "b.md", "new\n")
    scene.a.handle(ev.HintsLost())
    scene.wait(5.0)
    assert (scene.read(scene.b, "a.md"), scene.read(scene.b, "b.md")) == ("one\ntwo\nthree\n", "new\n")


def test_a_folder_that_is_gone_ends_the_replica_and_nothing_is_sent() -> None:
    scene = shared()
    scene.a.handle(ev.RootLost("the folder is no longer there"))
    assert scene.a.halted == "the folder is no longer there"
    scene.a.disk.take("a.md")
    scene.wait(30.0)
    assert scene.read(scene.b, "a.md") == "one\ntwo\n"
    assert scene.a.engine is not None and scene.a.engine.status.state == "halted"


def _texts(replica: VirtualReplica) -> list[str]:
    return [node.data.decode() for _, node in replica.disk.files()]


def _connected(replica: VirtualReplica) -> bool:
    return replica.engine is not None and replica.engine.status.connected


def test_a_network_that_is_another_is_tried_at_once_and_a_good_connection_is_left_alone() -> None:
    scene = shared()
    scene.a.handle(ev.NetworkChanged())
    scene.wait(1.0)
    assert _connected(scene.a)
    scene.hub.kill()
    assert scene.within(5.0, lambda: not _connected(scene.a))
    scene.wait(300.0)  # it is tried ever less often
    scene.hub.start()
    scene.a.handle(ev.NetworkChanged())
    scene.wait(1.0)
    assert _connected(scene.a)


def test_while_much_is_under_way_to_the_hub_no_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX_BYTES", 1)
    scene = shared()
    scene.a.link.latency_s = 0.5
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    engine = scene.a.engine
    assert engine is not None
    assert scene.within(5.0, lambda: engine.state.session.congested)
    scene.save(scene.a, "b.md", "new\n")
    scene.wait(0.2)
    assert engine.state.session.congested and engine.state.disk.get("b.md") is None
    scene.rest()
    assert scene.read(scene.b, "b.md") == "new\n"


def test_plans_that_lead_to_more_plans_than_one_event_may_make_go_on_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "ROUNDS_MAX", 1)
    scene = shared()
    scene.save(scene.a, "b.md", "b\n")
    scene.rest()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "b.md", "mine\n")
    scene.b.start()
    scene.rest()
    assert sorted(_texts(scene.a)) == ["b\n", "mine\n", "one\ntwo\n"]


def test_an_answer_that_a_flush_no_longer_waits_for_ends_none() -> None:
    scene = shared()
    scene.a.handle(ev.BinaryFrame(encode_from_hub(Probed(77, 0))))
    assert 77 not in scene.a.flushed
    scene.rest()


def test_a_flush_whose_question_to_the_hub_is_lost_asks_again() -> None:
    scene = shared()
    scene.a.link.latency_s = 0.5
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.wait(30.0)
    sent = scene.a.frames_sent
    number = scene.a.flush()
    assert scene.within(5.0, lambda: scene.a.frames_sent > sent)
    scene.a.link.cut()
    assert number not in scene.a.flushed
    assert scene.within(60.0, lambda: number in scene.a.flushed)
    assert scene.read(scene.b, "a.md") == "one\ntwo\nthree\n"


def test_a_scan_that_nobody_asked_for_decides_nothing_at_a_first_join() -> None:
    scene = shared()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "a.md", "mine\n")
    scene.b.start()
    scene.b.handle(ev.Scanned(999, ev.Scan()))
    scene.rest()
    assert sorted(_texts(scene.a)) == ["mine\n", "one\ntwo\n"]


def test_a_file_that_goes_while_a_first_join_compares_is_no_deletion() -> None:
    scene = shared()
    scene.b.kill()
    scene.b.lose_state()
    scene.b.work_s = 0.2
    scene.b.start()
    engine = scene.b.engine
    assert engine is not None
    assert scene.within(5.0, lambda: engine.state.looking.is_asked("a.md"))
    scene.b.disk.take("a.md")
    scene.wait(5.0)
    scene.rest()
    assert scene.read(scene.a, "a.md") == scene.read(scene.b, "a.md") == "one\ntwo\n"


def test_an_emptied_file_is_believed_two_seconds_after_its_writer_has_closed_it() -> None:
    looking = Looking()
    assert not looking.settle("a", Wait.EMPTIED, 0.0)
    assert looking.deadline == limits.SETTLE_EMPTIED_MAX_S
    looking.hint(ev.Hint("a", ev.HintKind.CLOSED), 1.0)
    looking.take_looks()
    looking.looked(["a"])
    looking.tick(1.0)
    assert looking.deadline == 1.0 + limits.SETTLE_EMPTIED_AFTER_CLOSE_S


def test_what_is_written_where_something_settles_is_looked_at_at_once() -> None:
    looking = Looking()
    assert not looking.settle("a", Wait.ABSENT, 0.0)
    looking.hint(ev.Hint("a", ev.HintKind.MODIFIED), 0.1)
    assert looking.take_looks() == [("a",)]
