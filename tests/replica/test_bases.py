"""Saves of which it is hard to tell what they were made from: late ones, old buffers, lost agreements."""

from __future__ import annotations

from crdtsync.core.replica.records import PutSynced
from crdtsync.core.values.digests import digest_of_text
from tests.replica.stories import shared
from tests.simulation.scene import Scene

TEXT = "one\ntwo\nthree\n"


def forgotten(scene: Scene) -> None:
    """``b`` ends, and its state comes from a backup so old that nobody knows the text that it agreed on."""
    scene.b.kill()
    [agreed] = [row for row in scene.b.store.remembered().synced if row.path == "a.md"]
    scene.b.store.persist([PutSynced(agreed._replace(digest=digest_of_text("long ago\n")))])


def test_an_edit_of_a_text_that_is_no_longer_known_keeps_both() -> None:
    scene = shared(TEXT)
    forgotten(scene)
    scene.save(scene.b, "a.md", "mine\n")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.md") == TEXT
    [copy] = [path for path in scene.paths(scene.a) if path != "a.md"]
    assert scene.read(scene.a, copy) == "mine\n"


def test_an_edit_of_a_text_that_is_no_longer_known_brings_it_back_from_a_deletion() -> None:
    scene = shared(TEXT)
    forgotten(scene)
    scene.save(scene.b, "a.md", "mine\n")
    scene.a.disk.take("a.md")
    scene.wait(5.0)
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.md") == "mine\n"
    assert scene.paths(scene.a) == ["a.md"]


def test_what_is_written_late_into_a_file_that_was_saved_here_is_an_edit_of_that_save() -> None:
    scene = shared("")
    scene.save(scene.b, "a.md", TEXT)
    scene.rest()
    old = scene.b.disk.get("a.md")
    assert old is not None
    scene.save(scene.a, "a.md", "zero\n" + TEXT)
    assert scene.within(5.0, lambda: scene.read(scene.b, "a.md") == "zero\n" + TEXT)
    scene.b.disk.write_into(old, (TEXT + "late\n").encode())
    scene.rest()
    assert scene.read(scene.a, "a.md") == "zero\n" + TEXT + "late\n"


def test_a_buffer_from_before_a_save_here_takes_that_back_and_nothing_that_others_did() -> None:
    scene = shared(TEXT)
    scene.save(scene.a, "a.md", seen := "seen by the tool\n" + TEXT)
    scene.rest()
    scene.save(scene.b, "a.md", seen + "added by the tool\n")
    scene.rest()
    scene.save(scene.a, "a.md", "seen by nobody\n" + seen + "added by the tool\n")
    scene.rest()
    scene.save(scene.b, "a.md", TEXT + "from an old buffer\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "seen by nobody\n" + seen + "from an old buffer\n"


def test_a_buffer_from_before_a_save_here_that_others_took_out_takes_nothing_else_of_theirs_back() -> None:
    scene = shared(TEXT)
    loaded = "".join(f"line {number} of a longer text\n" for number in range(5))
    scene.save(scene.a, "a.md", loaded)
    scene.rest()
    sentence = "what b added here is a rather long sentence of its own\n"
    scene.save(scene.b, "a.md", loaded + sentence * 2)
    scene.rest()
    for text in (loaded + sentence, "added by a\n" + loaded):
        scene.save(scene.a, "a.md", text)
        scene.rest()
    scene.save(scene.b, "a.md", loaded + "four comes from an old buffer\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "added by a\n" + loaded + "four comes from an old buffer\n"


def test_a_buffer_from_before_a_save_here_does_not_bring_back_what_others_had_kept() -> None:
    walk, hour, last = "a walk in the park\n", "an hour at the sea", "the last line of all\n"
    scene = shared(f"{walk}{hour}\n{last}")
    scene.b.link.unplug()
    scene.save(scene.b, "a.md", "a day at home\n")
    scene.save(scene.a, "a.md", f"{walk}{hour} with others\n{last}")
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert scene.read(scene.b, "a.md") == f"a day at home\n{hour} with others\n"
    scene.save(scene.b, "a.md", f"{walk}{hour} in spring\n{last}")
    scene.rest()
    assert scene.read(scene.a, "a.md") == f"{walk}{hour} with others in spring\n{last}"


def test_a_buffer_from_before_a_state_was_restored_takes_out_nothing_that_came_since() -> None:
    """The file stepped aside for the room's; the buffer is of what it was made from."""
    scene = Scene()
    backup = scene.b.store.copy()
    scene.save(scene.a, "a.md", TEXT)
    scene.rest()
    scene.b.kill()
    scene.save(scene.b, "a.md", TEXT.replace("three", "three of b"))
    scene.save(scene.a, "a.md", TEXT + "four\n")
    scene.wait(2.0)
    scene.b.restore_state(backup)
    scene.b.start()
    scene.rest()
    scene.save(scene.b, "a.md", "zero\n" + TEXT)
    scene.rest()
    assert scene.read(scene.a, "a.md") == "zero\n" + TEXT + "four\n"


def test_a_save_that_goes_on_from_one_that_waits_for_the_hub_was_made_from_the_same() -> None:
    """Marked by a tool, the first line is too short to tell alone that it had been seen."""
    rest = "bread from the baker\nripe melons from the south\n"
    scene = shared(rest)
    scene.save(scene.a, "a.md", f"salt\noil from the south\n{rest}")
    scene.rest()
    scene.b.link.unplug()
    for mark in ("", " (got)"):
        bought = f"salt\n{rest}a pound of coffee\n".replace("\n", f"{mark}\n")
        scene.save(scene.b, "a.md", bought)
        scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert scene.read(scene.a, "a.md") == bought


def test_a_buffer_from_before_a_save_here_does_not_bring_back_what_others_put_beside_a_line_like_it() -> None:
    apples, melons = "order nine ripe apples for today", "order four melons for today\n"
    scene = shared(f"{apples}\n")
    scene.save(scene.b, "a.md", melons)
    scene.rest()
    scene.save(scene.a, "a.md", f"{melons}{apples}\n")
    scene.rest()
    scene.save(scene.b, "a.md", f"{apples} (got)\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == f"{apples} (got)\n"
