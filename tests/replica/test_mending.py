"""Texts that a power cut made no texts, when others changed them meanwhile or nobody knows them any more."""

from __future__ import annotations

from crdtsync.core.replica.records import PutSynced
from crdtsync.core.values.digests import digest_of_text
from tests.replica.stories import shared
from tests.simulation.scene import Scene

LINES = "one of ann\ntwo of ann\nthree of ann\n"
TORN = b"one of ann\nnew of bob\n" + bytes(20)


def torn() -> Scene:
    """``b``'s machine lost its power while an editor saved there."""
    scene = shared(LINES)
    scene.wait(5.0)
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.save(scene.b, "a.md", TORN)
    return scene


def test_a_torn_text_that_others_changed_meanwhile_is_mended_with_their_change() -> None:
    scene = torn()
    scene.save(scene.a, "a.md", "zero of ann\n" + LINES)
    scene.wait(5.0)
    scene.b.start()
    scene.rest()
    text = scene.read(scene.a, "a.md") or ""
    assert sorted(line for line in text.splitlines() if "ann" in line) == sorted(
        ("zero of ann\n" + LINES).splitlines()
    )
    assert text.count("new of bob") == 1


def test_a_torn_text_of_which_nobody_knows_what_it_was_is_kept_as_it_is_beside_the_room_s() -> None:
    scene = torn()
    [row] = scene.b.store.remembered().synced
    of_a_backup = row._replace(digest=digest_of_text("long ago\n"), state_vector=b"\0")
    scene.b.store.persist([PutSynced(of_a_backup)])
    scene.b.start()
    scene.rest()
    assert sorted(node.data for _, node in scene.a.disk.files()) == sorted([LINES.encode(), TORN])


def test_the_beginning_of_a_text_that_was_saved_twice_is_none_of_what_stood_there_before() -> None:
    first = "line b456 of 08cb text"
    gone_on = f"{first} with line 6c35 of 613b text"
    scene = shared(f"{first}\nend")
    scene.wait(5.0)
    scene.save(scene.b, "a.md", f"{gone_on}\nend")
    scene.rest()
    scene.save(scene.b, "a.md", whole := f"{gone_on} [checked 1277]\nend [checked 1278]\n")
    scene.rest()
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.save(scene.b, "a.md", gone_on[:-6].encode() + bytes(20))
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.md") == whole
