"""What a replica that may only read has in the way of others, and what it does once it may write again."""

from __future__ import annotations

from dataclasses import replace

from crdtsync.core.replica.events import Tick
from crdtsync.core.replica.records import PutSynced
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.tree.rows import Create, Origin
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.control import Welcome, decode_control, encode_control
from tests.replica.stories import state_of
from tests.simulation.test_reading import Follower


class Granted(Follower):
    """The hub says whether ``b`` may write; ``b`` itself wants to."""

    def __init__(self) -> None:
        super().__init__()
        self.read_only = True
        received = self.b.link._received

        def receive(frame: bytes | str) -> None:
            if isinstance(frame, str) and isinstance(welcome := decode_control(frame), Welcome):
                frame = encode_control(replace(welcome, read_only=self.read_only))
            received(frame)

        self.b.link._received = receive
        self.restart(read_only=False)

    def grant(self) -> None:
        """On the next connection ``b`` may write."""
        self.read_only = False
        self.b.link.cut()
        self.wait(10.0)


def stepped_aside(scene: Follower, path: str) -> bytes:
    """What ``b`` alone keeps beside what others have at that path."""
    [aside] = scene.held
    files = scene.files(scene.b)
    assert files[path] == scene.files(scene.a)[path]
    return files[aside]


def test_who_may_write_again_sends_what_was_held_without_a_restart() -> None:
    scene = Granted()
    scene.save(scene.b, "a.txt", "one\ntwo\nthree\nmine\n")
    scene.save(scene.b, "new.txt", "new\n")
    scene.rest_apart()
    assert sorted(scene.held) == ["a.txt", "new.txt"]
    scene.grant()
    scene.rest()
    assert scene.read(scene.a, "a.txt") == "one\ntwo\nthree\nmine\n"
    assert scene.read(scene.a, "new.txt") == "new\n"
    assert not scene.held


def test_deletions_of_a_reader_are_judged_together_once_it_may_write() -> None:
    scene = Granted()
    for path in ("a.txt", "b.bin"):
        scene.b.disk.take(path)
    scene.rest_apart()
    assert sorted(scene.held) == ["a.txt", "b.bin"]
    scene.grant()
    scene.wait(5.0)
    scene.rest()
    assert scene.paths(scene.a) == ["c/d.txt"]


def test_a_file_deleted_here_comes_at_its_new_place_when_others_rename_it() -> None:
    scene = Follower()
    scene.b.disk.take("a.txt")
    scene.rest_apart()
    scene.a.disk.rename("a.txt", "moved.txt")
    scene.rest()
    assert scene.read(scene.b, "moved.txt") == "one\ntwo\nthree\n"
    assert not scene.held


def test_a_file_of_its_own_steps_aside_for_a_folder_of_others() -> None:
    scene = Follower()
    scene.save(scene.b, "t", "mine\n")
    scene.rest_apart()
    scene.save(scene.a, "t/x.txt", "theirs\n")
    scene.rest_apart()
    assert stepped_aside(scene, "t/x.txt") == b"mine\n"


def test_a_file_of_its_own_steps_aside_for_one_that_others_rename() -> None:
    scene = Follower()
    scene.save(scene.b, "moved.txt", "mine\n")
    scene.rest_apart()
    scene.a.disk.rename("a.txt", "moved.txt")
    scene.rest_apart()
    assert stepped_aside(scene, "moved.txt") == b"mine\n"


def test_an_edit_of_a_text_that_is_no_longer_known_steps_aside() -> None:
    """Its state was restored from an old backup: nobody can tell what was edited."""
    scene = Follower()
    scene.b.kill()
    [agreed] = [row for row in scene.b.store.remembered().synced if row.path == "a.txt"]
    scene.b.store.persist([PutSynced(agreed._replace(digest=digest_of_text("long ago\n")))])
    scene.save(scene.b, "a.txt", "mine\n")
    scene.b.start()
    scene.rest_apart()
    assert stepped_aside(scene, "a.txt") == b"mine\n"
    assert scene.others_see()["a.txt"] == b"one\ntwo\nthree\n"


def test_a_reader_takes_out_nothing_of_what_it_cannot_bring() -> None:
    """Others bring it, and judge it then."""
    scene = Granted()
    scene.rest_apart()
    assert scene.b.engine is not None
    documents = scene.b.engine.state.documents
    entry = scene.b.engine.state.synced.at("a.txt")
    assert entry is not None
    text = documents.text(entry)
    again = TextDocument(0, documents.log(entry)).edit([Edit(0, 4, "")])
    scene.b.engine._ingest.take_out(entry, again, 0.0)
    assert text and documents.text(entry) == text


def test_a_folder_that_two_made_at_once_goes_where_one_may_only_read_once_others_remove_it() -> None:
    scene = Follower()
    scene.a.disk.make_folder("v")
    scene.rest_apart()
    state_of(scene.a).operate(Create(EntryId("f" * 24), Kind.DIR, "v", False, Origin()))
    scene.a.handle(Tick())
    scene.rest()
    assert "v" in scene.paths(scene.b)
    scene.a.disk.take("v")
    scene.rest()
    assert "v" not in scene.paths(scene.b)


def forgotten(path: str, *versions: bytes) -> Follower:
    """What others made, and ``b`` received, is no more known to it, since its state was restored; meanwhile
    they went on with it."""
    scene = Follower()
    state = scene.b.store.copy()
    for version in versions[:-1]:
        scene.save(scene.a, path, version)
        scene.rest()
    scene.b.kill()
    scene.b.restore_state(state)
    scene.save(scene.a, path, versions[-1])
    scene.wait(5.0)
    scene.b.start()
    scene.rest_apart()
    return scene


def test_a_former_text_of_the_room_that_a_reader_has_forgotten_is_no_file_of_its_own() -> None:
    scene = forgotten("new.md", b"one\n", b"one\ntwo\n")
    assert scene.files(scene.b) == scene.files(scene.a)
    assert not scene.held


def test_a_former_blob_that_a_reader_has_forgotten_steps_aside() -> None:
    """The room does not tell that it had it."""
    scene = forgotten("new.bin", b"\0 one", b"\0 two")
    assert stepped_aside(scene, "new.bin") == b"\0 one"


def test_a_text_of_ones_own_in_the_place_of_one_that_is_new_steps_aside() -> None:
    scene = Follower()
    scene.b.kill()
    scene.save(scene.a, "new.md", "theirs\n")
    scene.save(scene.b, "new.md", "mine\n")
    scene.wait(5.0)
    scene.b.start()
    scene.rest_apart()
    assert stepped_aside(scene, "new.md") == b"mine\n"


def test_a_reader_who_keeps_both_at_a_first_join_keeps_a_former_text_of_the_room_as_well() -> None:
    scene = Follower()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.wait(5.0)
    scene.b.start()
    scene.rest_apart()
    assert stepped_aside(scene, "a.txt") == b"one\ntwo\nthree\n"
