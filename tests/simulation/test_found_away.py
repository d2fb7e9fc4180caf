"""Stories of stale buffers that are saved while the hub is away, as simulated worlds told them."""

from __future__ import annotations

import pytest

from crdtsync.core.values import limits
from tests.simulation.scene import Scene

BEFORE = "".join(f"line {name} of text\n" for name in ("c283 A b1b1", "58d2 B be9c", "71c5 C aba4"))
ADDED = BEFORE.replace("line 71c5", "line 1324 D 87f2 of text\nline 71c5")


OF_A_TOOL = "line 5636 H 2c1f of a tool\n"
GOES_ON = "line 0c40 F fcbd of text\nline 876b G 4a2c of text\n"


def stale_save_while_away(*paths: str, tool: bool = False) -> Scene:
    """``b`` saves buffers from before what others added, in that order; ``tool``: and from before one there
    had saved the text with that."""
    scene = Scene()
    for content in (BEFORE, ADDED):
        for path in paths or ("note.md",):
            scene.save(scene.a, path, content)
        scene.rest()
    if tool:
        scene.save(scene.b, "note.md", ADDED + OF_A_TOOL)
        scene.rest()
    scene.b.link.unplug()
    for path in paths or ("note.md",):
        scene.save(scene.b, path, BEFORE.replace("line 58d2", "line 6c35 E 613b of text\nline 58d2"))
        scene.wait(1.0)
    return scene


@pytest.mark.parametrize("tool", [False, True])
def test_whoever_goes_on_with_a_stale_buffer_while_away_takes_nothing_of_others_back(tool: bool) -> None:
    scene = stale_save_while_away(tool=tool)
    text = scene.read(scene.b, "note.md") or ""
    text = (OF_A_TOOL if tool else "") + text.replace("line 71c5 C aba4 of text\n", GOES_ON)
    scene.save(scene.b, "note.md", text)
    scene.wait(1.0)
    scene.b.link.online = True
    scene.rest()
    lines = (scene.read(scene.a, "note.md") or "").splitlines()
    assert sorted(lines) == sorted([*text.splitlines(), "line 1324 D 87f2 of text"])


def test_what_is_known_of_too_many_such_buffers_is_forgotten_but_nothing_of_others_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "OLDER_BASES_MAX_COUNT", 1)
    scene = stale_save_while_away("first.md", "last.md")
    for path in ("first.md", "last.md"):
        text = scene.read(scene.b, path) or ""
        scene.save(scene.b, path, text.replace("line 71c5 C aba4 of text\n", GOES_ON))
    scene.wait(1.0)
    scene.b.link.online = True
    scene.rest()
    theirs = "line 1324 D 87f2 of text"
    assert theirs in (scene.read(scene.a, "last.md") or "")
    assert theirs not in (scene.read(scene.a, "first.md") or "")
    assert any(theirs in data.decode() for data in scene.a.machine.trashed())


@pytest.mark.parametrize("instead", ["", "\0binary"])
def test_whoever_deletes_what_a_stale_buffer_was_saved_to_deletes_nothing_unseen(instead: str) -> None:
    scene = stale_save_while_away()
    scene.b.disk.take("note.md")
    if instead:
        scene.save(scene.b, "note.md", instead)
    scene.wait(3.0)
    scene.b.link.online = True
    scene.rest()
    assert any(
        "line 1324 D 87f2 of text" in (scene.read(scene.a, path) or "") for path in scene.paths(scene.a)
    )


@pytest.mark.parametrize("noted", [False, True])
def test_what_a_slow_writer_wrote_again_while_the_replica_was_down_is_not_taken_for_deleted(
    noted: bool,
) -> None:
    """It had emptied the file, which another program saved meanwhile; others' edit replaced that file."""
    old, new, theirs = (
        "line 0c40 A fcbd of text\n",
        "line e713 B 4ae1 of text\n",
        "line 0dc2 C c684 of text\n",
    )
    scene = Scene()
    scene.save(scene.a, "note.md", old)
    scene.rest()
    file = scene.a.disk.get("note.md")
    assert file is not None
    scene.a.disk.write_into(file, b"")
    scene.a.disk.write_into(file, new.encode())
    scene.rest()
    scene.save(scene.b, "note.md", new + theirs)
    assert scene.within(20.0, lambda: scene.read(scene.a, "note.md") == new + theirs)
    if noted:
        scene.rest()  # from here on nobody remembers over a restart that the text before was saved here
    scene.a.kill()
    scene.a.disk.write_into(file, f"line b70e D 6658 of text\nline 876b E 4a2c of text\n{old}".encode())
    scene.a.start()
    scene.rest()
    assert any(old in (scene.read(scene.b, path) or "") for path in scene.paths(scene.b))
    assert theirs in (scene.read(scene.b, "note.md") or "")


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("theirs", [True, False])
def test_what_a_program_here_took_out_an_editor_here_may_save_back_also_after_a_restart(
    restarted: bool, theirs: bool
) -> None:
    """The last save on one disk wins, but for what others did."""
    scene = Scene()
    scene.save(scene.a, "note.md", BEFORE)
    scene.rest()
    short = BEFORE.replace("line 58d2 B be9c of text\n", "")
    scene.save(scene.a if theirs else scene.b, "note.md", short)
    scene.rest()
    if restarted:
        scene.wait(5.0)
        scene.b.kill()
        scene.b.start()
        scene.rest()
    added = "line 6c35 E 613b of text\n"
    scene.save(scene.b, "note.md", BEFORE + added)
    scene.rest()
    assert scene.read(scene.a, "note.md") == (short if theirs else BEFORE) + added


def test_a_buffer_of_a_text_that_was_gone_before_it_could_be_taken_in_takes_nothing_of_others_back() -> None:
    """It is nearer to what came than to what both go back to: a line stands in the place of another."""
    scene = Scene()
    scene.save(scene.a, "note.md", BEFORE)
    scene.rest()
    scene.b.link.online = False
    scene.b.link.cut()
    buffer = BEFORE.replace("line 71c5", "line 1324 D 87f2 of text\nline 71c5")
    scene.save(scene.b, "note.md", buffer)
    scene.wait(1.0)
    scene.b.disk.take("note.md")
    theirs = "line 6c35 E 613b of text"
    scene.save(scene.a, "note.md", BEFORE.replace("line 71c5", f"{theirs}\nline 71c5"))
    scene.wait(5.0)
    scene.b.link.online = True
    scene.rest()
    assert theirs in (scene.read(scene.b, "note.md") or "")
    scene.save(scene.b, "note.md", buffer + GOES_ON)
    scene.rest()
    lines = (scene.read(scene.a, "note.md") or "").splitlines()
    assert sorted(lines) == sorted([*(buffer + GOES_ON).splitlines(), theirs])
