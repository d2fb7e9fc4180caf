"""What simulated worlds with restored hubs found, each as the shortest story that shows it."""

from __future__ import annotations

import pytest

from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

LINES = "one of ann\ntwo of ann\nthree of ann\n"


def lose_all(replica: VirtualReplica) -> None:
    """The state, and every file."""
    replica.lose_state()
    for path, _ in replica.disk.files():
        replica.disk.take(path)


@pytest.mark.parametrize("known_before", [False, True])
def test_what_was_just_read_from_a_hub_that_then_lost_it_is_brought_back(known_before: bool) -> None:
    scene = Scene()
    scene.rest()
    backup = scene.hub.backup()
    scene.b.kill()
    if not known_before:
        scene.b.lose_state()
    scene.save(scene.a, "note.md", LINES)
    scene.wait(2.0)
    scene.b.start()
    assert scene.within(5.0, lambda: scene.b.disk.get("note.md") is not None)
    for each in (scene.hub, scene.b, scene.a):
        each.kill()  # before it is written down how far the log was read
    scene.hub.restore(backup)
    lose_all(scene.a)
    for each in (scene.hub, scene.b, scene.a):
        each.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == scene.read(scene.b, "note.md") == LINES


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("more_hubs", [0, 1, 2])
def test_the_same_change_is_there_once_however_many_hubs_end_before_they_place_it(
    more_hubs: int, killed: bool
) -> None:
    """The first one placed both, and was killed before the later of the two had heard of the other; perhaps
    the earlier one was, too. Each hub that follows is killed as that has sent its own anew."""
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    assert scene.a.engine is not None and scene.b.engine is not None
    mine, theirs = scene.a.engine.state, scene.b.engine.state
    [agreed] = mine.synced
    formatted = LINES.replace(" of", ", formatted, of")
    scene.hub.commit_s = 0.5
    scene.b.link.latency_s = 0.3
    scene.save(scene.b, "note.md", formatted)
    assert scene.within(2.0, lambda: len(theirs.unaccepted) == 1)
    scene.wait(0.004)  # it is on its way
    scene.b.link.latency_s = 5.0
    scene.save(scene.a, "note.md", formatted)
    both = 2 * formatted.count("formatted")
    assert scene.within(2.0, lambda: mine.documents.text(agreed.entry).count("formatted") == both)
    scene.hub.kill()
    scene.b.link.unplug()
    scene.hub.commit_s = 0.002
    if killed:
        scene.a.kill()
        scene.a.start()
    session = scene.a.engine._session
    for _ in range(more_hubs):
        scene.wait(1.0)
        scene.hub.start()
        assert scene.within(10.0, lambda: bool(session._updates))
        scene.hub.kill()
    scene.wait(1.0)
    scene.hub.start()
    scene.wait(10.0)
    scene.b.link.latency_s = 0.001
    scene.b.link.online = True
    scene.rest()
    assert scene.read(scene.a, "note.md") == formatted


@pytest.mark.parametrize("last", ["", "one more\n"])
def test_an_edit_that_a_hub_placed_and_lost_is_remembered_over_a_kill(last: str) -> None:
    """While a later one is written down, or while others of the room move the cursor."""
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    assert scene.a.engine is not None and scene.b.engine is not None
    mine, theirs = scene.a.engine.state.unaccepted, scene.b.engine.state.unaccepted
    formatted = LINES.replace(" of", ", formatted, of")
    scene.hub.commit_s = 5.0
    scene.b.link.latency_s = 2.0
    scene.save(scene.b, "note.md", formatted)
    scene.save(scene.a, "note.md", formatted)
    assert scene.clock.run_until(scene.clock.now_s + 1.0, lambda: bool(mine) and bool(theirs))
    assert scene.clock.run_until(scene.clock.now_s + 1.0, lambda: not mine), "the hub has placed ours"
    if last:
        scene.save(scene.a, "note.md", formatted + last)
        assert scene.clock.run_until(scene.clock.now_s + 1.0, lambda: bool(mine))
    scene.wait(1.0)
    scene.b.link.online = False
    scene.b.link.cut()
    for each in (scene.hub, scene.a):
        each.kill()  # before it is durable
    scene.hub.commit_s, scene.b.link.latency_s = 0.002, 0.001
    scene.hub.start()
    scene.b.link.online = True
    assert scene.clock.run_until(scene.clock.now_s + 60.0, lambda: not theirs), "now theirs came first"
    scene.a.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == formatted + last


def test_what_one_put_back_in_a_second_save_is_there_once_where_a_restored_hub_has_it_by_another() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", "line 71c5 alpha aba4 of text\nline 72d5 gamma f8d8 of text\n")
    scene.rest()
    backup = scene.hub.backup()
    scene.b.link.unplug()
    scene.wait(1.0)
    kept = "line 72d5 gamma f8d8 of text [checked twice]\n"
    for save in ("line 5636 delta 2c1f of text\n", "line 6c35 sigma 613b of text [checked once]\n" + kept):
        scene.save(scene.a, "note.md", save)
        scene.wait(1.0)
    scene.hub.kill()
    scene.hub.restore(backup)
    scene.a.link.unplug()
    scene.save(scene.b, "note.md", "line 0c40 omega fcbd of text\n" + kept)
    scene.hub.start()
    for replica in (scene.b, scene.a):
        replica.link.online = True
        scene.wait(5.0)
    scene.rest()
    text = scene.read(scene.a, "note.md")
    assert text is not None and text.count("[checked twice]") == 1
