"""What looks and scans lead to where names change at once, cannot be read, or are not what they were."""

from __future__ import annotations

import errno
from random import Random

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica import file_identity
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.trees import DiskTree, OnDisk, SyncedTree
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Kind, Unchanged
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.folding import naming_of
from crdtsync.testing.trouble import Trouble
from crdtsync.testing.virtual_filesystem import error
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_kernel import Primitive
from tests.replica.stories import LINES, save_many_folders, shared, state_of, texts
from tests.simulation.scene import Scene


def put(scene: Scene, path: str, text: str) -> None:
    """``b`` has a new file there, as editors make one that save by a rename."""
    scene.b.disk.put(path, scene.b.disk.new_inode(NodeKind.FILE, text.encode()))


def test_a_file_that_was_copied_and_then_deleted_has_moved() -> None:
    scene = shared(LINES)
    entry = state_of(scene.a).view.at("a.md")
    scene.b.disk.take("a.md")
    scene.wait(0.1)
    put(scene, "copy.md", LINES)
    assert texts(scene) == {"copy.md": LINES}
    assert state_of(scene.a).view.at("copy.md") == entry


def test_a_file_that_moved_and_became_a_blob_is_a_new_one() -> None:
    scene = shared(LINES)
    entry = state_of(scene.a).view.at("a.md")
    node = scene.b.disk.get("a.md")
    assert node is not None
    scene.b.disk.rename("a.md", "a.bin")
    scene.b.disk.write_into(node, b"\0blob")
    scene.rest()
    assert [(path, node.data) for path, node in scene.a.disk.files()] == [("a.bin", b"\0blob")]
    assert state_of(scene.a).view.at("a.bin") != entry


def test_a_file_that_moved_while_the_hub_was_away_has_moved() -> None:
    scene = shared(LINES)
    entry = state_of(scene.a).view.at("a.md")
    scene.hub.kill()
    scene.wait(1.0)
    scene.b.disk.rename("a.md", "moved.md")
    scene.wait(5.0)
    scene.hub.start()
    assert texts(scene) == {"moved.md": LINES}
    assert state_of(scene.a).view.at("moved.md") == entry


def renamed_and_replaced(scene: Scene, taken_to: str) -> None:
    """Others rename ``a.md`` and make another; in that instant somebody moves it on ``b``'s disk."""
    scene.b.link.unplug()
    scene.a.disk.rename("a.md", "moved.md")
    scene.wait(2.0)
    scene.save(scene.a, "a.md", "another\\n")
    scene.wait(2.0)
    taken = False

    def take(path: str) -> None:
        nonlocal taken
        if not taken:
            taken = True
            scene.b.disk.rename("a.md", taken_to)

    scene.b.race = take
    scene.b.link.online = True
    assert scene.within(60.0, lambda: taken)


def test_a_file_that_was_moved_here_and_there_at_once_is_there_once() -> None:
    scene = shared(LINES)
    renamed_and_replaced(scene, "mine.md")
    found = texts(scene)
    assert found.pop("a.md") == "another\\n"
    assert list(found.values()) == [LINES]


def test_a_file_that_was_moved_over_another_while_others_moved_it_is_there_once() -> None:
    scene = shared(LINES)
    scene.save(scene.a, "known.md", "something else\n")
    scene.rest()
    renamed_and_replaced(scene, "known.md")
    found = texts(scene)
    assert found.pop("a.md") == "another\\n"
    assert LINES in found.values()


def test_a_name_that_became_a_second_link_of_a_file_that_others_rename_is_another_file() -> None:
    scene = shared(LINES)
    scene.save(scene.a, "x.md", "something else\n")
    scene.rest()
    scene.b.pace.watch_delay_s = 1e6
    scene.wait(60.0)
    scene.b.work_s = 0.3
    scene.a.disk.rename("a.md", "moved.md")
    assert scene.within(5.0, lambda: bool(state_of(scene.b).stepping))
    node = scene.b.disk.get("a.md")
    assert node is not None
    scene.b.disk.put("x.md", node)
    scene.b.handle(ev.Hint("x.md", ev.HintKind.CLOSED))
    scene.wait(20.0)
    assert texts(scene) == {"moved.md": LINES, "x.md": LINES}


def three(scene: Scene) -> dict[str, str]:
    """Files that have nothing in common."""
    contents = {f"{name}.md": f"{name} {name}{name} {name}{name}{name}\n" * 4 for name in "xyz"}
    for path, text in contents.items():
        scene.save(scene.a, path, text)
    scene.rest()
    scene.wait(5.0)
    return contents


def rotate(scene: Scene, anew: str) -> None:
    """``b``'s ``z`` goes to ``x``, ``y`` to ``z``, and a new file comes to ``y``."""
    scene.b.disk.rename("z.md", "x.md")
    scene.b.disk.rename("y.md", "z.md")
    put(scene, "y.md", anew)


def test_the_last_of_three_that_changed_names_is_told_by_what_it_holds_though_it_was_saved_anew() -> None:
    scene = Scene()
    before = three(scene)
    entries = {path: state_of(scene.a).view.at(path) for path in before}
    rotate(scene, before["x.md"] + "more\n")
    assert texts(scene) == {
        "x.md": before["z.md"],
        "y.md": before["x.md"] + "more\n",
        "z.md": before["y.md"],
    }
    assert state_of(scene.a).view.at("y.md") == entries["x.md"]


def test_of_three_names_one_that_holds_something_else_now_closes_no_circle() -> None:
    scene = Scene()
    before = three(scene)
    rotate(scene, "nothing like any of them\n")
    found = texts(scene)
    assert found == {"x.md": before["z.md"], "y.md": "nothing like any of them\n", "z.md": before["y.md"]}


def test_of_very_many_files_whose_places_others_took_the_latest_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_identity, "LEFT_MAX_COUNT", 1)
    scene = Scene()
    before = three(scene)
    for path, text in before.items():
        put(scene, path, text + "saved anew\n")
        scene.rest()
    assert scene.b.engine is not None
    assert list(scene.b.engine._observing._swapping._identity._left.values()) == ["z.md"]
    assert texts(scene) == {path: text + "saved anew\n" for path, text in before.items()}


def test_what_is_never_shared_and_came_while_the_replica_was_down_is_told_at_its_start() -> None:
    scene = shared(LINES)
    scene.b.kill()
    scene.b.disk.put("out", scene.b.disk.new_inode(NodeKind.LINK, b"/etc/hosts"))
    scene.b.start()
    scene.rest_apart()
    assert scene.b.engine is not None
    assert [(told.path, told.kind) for told in scene.b.engine.status.attention] == [("out", "unshared")]
    assert scene.paths(scene.a) == ["a.md"]


def folders(scene: Scene) -> None:
    save_many_folders(scene)
    scene.b.pace.watch_delay_s = 1e6
    scene.wait(5.0)


def test_what_changed_while_the_whole_folder_could_not_be_read_is_found_once_it_can() -> None:
    """Nothing else leads to a look at it: no hint, no flush."""
    scene = shared(LINES)
    folders(scene)
    scene.b.trouble = Trouble(errno.EACCES, 1.0)
    scene.b.handle(ev.HintsLost())
    scene.wait(1.0)
    assert "" in state_of(scene.b).disk.unknown
    scene.b.trouble = None
    scene.save(scene.b, "new.md", "new\n")
    scene.wait(30.0)
    assert not state_of(scene.b).disk.unknown
    assert scene.read(scene.a, "new.md") == "new\n"
    assert scene.b.engine is not None and scene.b.engine.status.attention == ()


@pytest.mark.parametrize("scanned_anyway", [False, True])
def test_a_folder_that_can_be_read_again_is_scanned_once(scanned_anyway: bool) -> None:
    scene = shared(LINES)
    folders(scene)
    opened: list[str] = []

    class Locked(Trouble):
        """The first folder below the top cannot be opened."""

        def meet(self, primitive: Primitive, rng: Random) -> None:
            if primitive.name == "open_folder":
                opened.append(primitive.name)
                if len(opened) == 2:
                    raise error(errno.EACCES, "b")

    scene.b.trouble = Locked(errno.EACCES, 1.0)
    scene.b.handle(ev.HintsLost())
    scene.wait(1.0)
    scene.b.trouble = None
    state = state_of(scene.b)
    [folder] = state.disk.unknown
    scene.save(scene.b, f"{folder}/new.md", "new\n")
    if scanned_anyway:
        scene.b.work_s = 0.3
        scene.b.handle(ev.HintsLost())
        state.looking.want(folder)
        scene.b.handle(ev.Tick())
        assert scene.within(5.0, lambda: not state.looking.is_asked(folder))
        assert state.looking.scanning(folder) and folder in state.disk.unknown
    scene.wait(30.0)
    assert not state.disk.unknown
    assert scene.read(scene.a, f"{folder}/new.md") == "new\n"


def test_a_file_that_could_not_be_read_is_shared_once_it_can() -> None:
    scene = shared(LINES)
    scene.b.trouble = Trouble(errno.EIO, 1.0)
    scene.save(scene.b, "a.md", LINES + "more\n")
    scene.wait(1.0)
    assert "a.md" in state_of(scene.b).disk.unknown
    scene.b.trouble = None
    scene.wait(15.0)
    assert "a.md" not in state_of(scene.b).disk.unknown
    assert scene.read(scene.a, "a.md") == LINES + "more\n"


def test_a_look_that_finds_a_file_unchanged_of_which_something_else_is_known_reads_it() -> None:
    scene = shared(LINES)
    scene.save(scene.a, "a.md", LINES + "more\n")
    scene.rest()
    engine, state = scene.b.engine, state_of(scene.b)
    assert engine is not None
    seen = state.disk.get("a.md")
    assert seen is not None and seen.fingerprint is not None
    state.looking.want("a.md")
    assert state.looking.take_looks() == [("a.md",)]
    state.disk.put("a.md", OnDisk(Kind.TEXT, digest_of_text("older\n"), seen.fingerprint.outdated()))
    scene.b.handle(ev.Looked((("a.md", Unchanged(seen.fingerprint)),)))
    assert state.looking.is_asked("a.md")
    assert texts(scene) == {"a.md": LINES + "more\n"}


def test_what_is_found_at_a_path_is_unknown_no_more() -> None:
    disk = DiskTree()
    disk.unknown.update({"a": "unreadable", "b": "unreadable"})
    disk.put("a", OnDisk(Kind.TEXT, digest_of_text("x"), None))
    assert disk.unknown == {"b": "unreadable"}
    assert disk.reason_unknown("b/c") == "unreadable" and disk.reason_unknown("a") is None


def test_of_two_spellings_that_are_one_name_each_is_known_until_it_goes() -> None:
    _, folding = naming_of("both")
    tree = SyncedTree((), folding)
    entries = [EntryId(name * 24) for name in "ab"]
    for entry, path in zip(entries, ("Read.md", "READ.md"), strict=True):
        tree.put(Synced(entry, path, Kind.TEXT, None, False, b"", None))
    assert tree.twins("read.md") == ["READ.md", "Read.md"]
    tree.discard(entries[0])
    assert tree.twins("read.md") == ["READ.md"]
    tree.discard(entries[1])
    assert tree.twins("read.md") == []
