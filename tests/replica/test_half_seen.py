"""Two files changed names, and what stands at their paths is looked at one by one."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.observing import Observing
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Present, TextContent
from tests.simulation.scene import Scene

PATHS = ("a.bin", "b.bin")


def followed(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, ReplicaState]:
    """Both have both files, with that text after the path; ``a`` is told of nothing that happens to them."""
    scene = Scene()
    for path in PATHS:
        scene.save(scene.b, path, text.format(path))
    scene.rest()
    assert scene.a.engine is not None
    monkeypatch.setattr(Observing, "hint", lambda *_: None)
    return scene, scene.a.engine.state


def test_what_one_look_found_is_not_asked_for_again_before_the_other_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, state = followed("\0{}", monkeypatch)
    entries = [entry for path in PATHS if (entry := state.synced.at(path)) is not None]
    scene.a.disk.exchange(*PATHS)
    seen = [state.disk.get(path) for path in PATHS]
    for path, other in zip(reversed(PATHS), seen, strict=True):
        assert other is not None
        state.disk.put(path, other)  # as a step leaves it that met the other file there
    for path in PATHS:
        state.looking.want(path)
        scene.a.handle(ev.Tick())
    assert scene.within(1.0, lambda: bool(state.half_seen))
    half_seen = set(state.half_seen)
    assert len(half_seen) == 1
    state.replan(entries)
    scene.a.handle(ev.Tick())
    assert not any(map(state.looking.is_asked, half_seen))
    scene.rest()
    assert scene.read(scene.b, "a.bin") == "\0b.bin" and scene.read(scene.b, "b.bin") == "\0a.bin"


def test_a_file_that_changed_names_and_was_rewritten_waits_for_another_look_at_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, state = followed("{}\n", monkeypatch)
    entries = [state.synced.at(path) for path in PATHS]
    scene.a.disk.exchange(*PATHS)
    scene.save(scene.a, "b.bin", "a.bin\nand much more than it had held before\n")
    state.looking.want("a.bin")
    scene.a.handle(ev.Tick())
    assert scene.within(1.0, lambda: state.half_seen == {"a.bin"})
    assert state.looking.is_asked("b.bin")
    state.looking.want("a.bin")  # since something happened to it again
    scene.rest()
    assert [state.synced.at(path) for path in reversed(PATHS)] == entries


def test_what_waited_for_a_look_that_nobody_will_answer_any_more_is_believed() -> None:
    """Else what stands at the path would never be taken in."""
    scene = Scene()
    for path in PATHS:
        scene.save(scene.a, path, f"one of {path}\n")
    scene.rest()
    engine = scene.a.engine
    assert engine is not None
    other = engine.state.disk.get("b.bin")
    assert other is not None and other.fingerprint is not None
    content = TextContent("one of b.bin\n", digest_of(b"one of b.bin\n"))
    swapping = engine._observing._swapping
    swapping._held["a.bin"] = seen = Present(other.fingerprint, content)
    assert swapping.take({}, scene.clock.now_s) == {"a.bin": seen}


@pytest.mark.parametrize("again", ["", "put back"])
def test_a_file_that_was_seen_at_its_new_path_is_still_that_one_though_rewritten_before_it_is_seen_again(
    again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, state = followed("{}\nof many\nlines\nthat tell\n", monkeypatch)

    def looked_at_again() -> bool:
        """No look is believed, since each time something has happened there meanwhile."""
        state.looking.want("a.bin")
        return False

    entries = [state.view.at(path) for path in PATHS]
    one = scene.a.disk.take("a.bin")
    scene.save(scene.a, "a.bin", one.data + b"as a new file\n")
    scene.a.disk.exchange(*PATHS)
    looked_at_again()
    scene.a.handle(ev.Tick())
    scene.within(0.1, looked_at_again)
    if again:
        scene.a.disk.exchange(*PATHS)
        scene.within(0.1, looked_at_again)
    scene.save(scene.a, "a.bin", "nothing of that\n")
    state.looking.want("b.bin")
    scene.within(0.1, looked_at_again)
    scene.rest()
    assert [state.view.at(path) for path in PATHS] == (entries if again else entries[::-1])
    assert scene.read(scene.b, "a.bin") == "nothing of that\n"
