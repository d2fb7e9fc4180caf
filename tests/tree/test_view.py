"""Who stands where in a room, and the repairs that every replica computes alike."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import (
    Create,
    DropVersions,
    Operation,
    Origin,
    PutVersion,
    SetExecutable,
    SetGone,
    SetPath,
    Version,
)
from crdtsync.core.tree.view import RoomView, derived_entry
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId

EMPTY = digest_of(b"")
SEEN = b"\x01\x05\x03"
MORE = b"\x01\x05\x04"


class Texts:
    """What the documents hold: a digest and a state vector each."""

    def __init__(self) -> None:
        self.digests: dict[EntryId, Digest] = {}
        self.vectors: dict[EntryId, bytes] = {}

    def state_vector(self, entry: EntryId) -> bytes:
        return self.vectors.get(entry, b"\0")

    def text_digest(self, entry: EntryId) -> Digest:
        return self.digests.get(entry, EMPTY)


class Replica:
    def __init__(self, client: int) -> None:
        self.tree = TreeDocument(client)
        self.texts = Texts()
        self.view = RoomView(self.tree.rows, self.texts)

    def edit(self, *operations: Operation) -> bytes:
        update, changed = self.tree.edit(operations)
        self.view.refresh(changed)
        return update

    def take(self, other: Replica) -> None:
        self.view.refresh(self.tree.apply_update(other.tree.diff_update(self.tree.state_vector)))

    def repair(self) -> int:
        """Repair until nothing is left; returns the number of rounds."""
        for number in range(10):
            operations = self.view.repairs(self.texts.text_digest)
            if not operations:
                return number
            self.edit(*operations)
        raise AssertionError("repairs do not come to an end")

    @property
    def places(self) -> dict[str, tuple[Kind, Digest | None]]:
        return {
            placed.path: (placed.kind, None if placed.version is None else placed.version.digest)
            for placed in self.view.placements.values()
        }


def entry(number: int) -> EntryId:
    return EntryId(f"{number:024x}")


def version(content: bytes, by: str = "Ann") -> Version:
    return Version(digest_of(content), len(content), by, 0)


def create(number: int, path: str, kind: Kind = Kind.TEXT, content: bytes = b"", by: str = "Ann") -> Create:
    made = version(content, by) if kind is Kind.BLOB else None
    return Create(entry(number), kind, path, False, Origin(by, 0), made)


def test_two_texts_at_one_path_are_told_apart_by_identity() -> None:
    room = Replica(1)
    room.texts.digests[entry(2)] = digest_of(b"other")
    room.edit(create(1, "a.txt"), create(2, "a.txt", by="Bob"))
    room.repair()
    assert sorted(room.places) == ["a (conflict of Bob, 00000000).txt", "a.txt"]
    assert room.view.at("a.txt") == entry(1)
    assert room.tree.rows[entry(2)].origin.copy_of == entry(1)


def test_two_texts_of_one_content_at_one_path_are_one_file() -> None:
    room = Replica(1)
    room.texts.vectors[entry(2)] = SEEN
    room.edit(create(1, "a.txt"), create(2, "a.txt"))
    room.repair()
    assert list(room.places) == ["a.txt"]
    assert room.tree.rows[entry(2)].gone == SEEN


def test_two_blobs_of_one_content_at_one_path_are_one_file_and_a_text_beside_them_is_another() -> None:
    room = Replica(1)
    room.edit(create(1, "a", Kind.BLOB, b"\0"), create(2, "a", Kind.BLOB, b"\0"), create(3, "a", by="Bob"))
    room.repair()
    assert {path: kind for path, (kind, _) in room.places.items()} == {
        "a": Kind.BLOB,
        "a (conflict of Bob, 00000000)": Kind.TEXT,
    }
    assert not room.tree.rows[entry(2)].versions


def test_a_folder_keeps_its_name_before_a_file() -> None:
    room = Replica(1)
    room.edit(create(1, "thing", by="Bob"), create(2, "thing/inside.txt"))
    room.repair()
    assert sorted(room.places) == ["thing (conflict of Bob, 00000000)", "thing/inside.txt"]


def test_what_replaced_a_file_keeps_the_name_before_an_edit_that_brought_the_file_back() -> None:
    for old, new in ((1, 2), (2, 1)):
        room = Replica(1)
        room.texts.vectors[entry(old)] = MORE
        room.texts.digests[entry(old)] = digest_of(b"edited")
        room.edit(create(old, "a.txt"), SetGone(entry(old), SEEN), create(new, "a.txt"))
        room.repair()
        assert room.view.at("a.txt") == entry(new)
        assert len(room.places) == 2


def test_a_deletion_covers_what_was_seen_and_nothing_more() -> None:
    room = Replica(1)
    room.texts.vectors[entry(1)] = SEEN
    room.edit(create(1, "a.txt"), SetGone(entry(1), SEEN))
    assert room.places == {}
    room.texts.vectors[entry(1)] = MORE
    room.view.refresh([entry(1)])
    assert list(room.places) == ["a.txt"]


def test_concurrent_versions_of_a_blob_leave_one_winner_and_a_copy_that_all_agree_on() -> None:
    ann, bob = Replica(1), Replica(2)
    ann.edit(create(1, "a.bin", Kind.BLOB, b"old"))
    bob.take(ann)
    seen = (digest_of(b"old"),)
    ann.edit(PutVersion(entry(1), version(b"from Ann"), seen))
    bob.edit(PutVersion(entry(1), version(b"from Bob", "Bob"), seen))
    ann.take(bob)
    bob.take(ann)
    ann.repair()
    bob.repair()
    assert ann.places == bob.places
    ann.take(bob)
    bob.take(ann)
    assert ann.places == bob.places
    assert {digest for _, digest in ann.places.values()} == {digest_of(b"from Ann"), digest_of(b"from Bob")}
    loser = max(digest_of(b"from Ann"), digest_of(b"from Bob"))
    assert ann.view.get(derived_entry(entry(1), loser)) is not None


def test_paths_that_lead_out_or_into_a_repository_have_no_place() -> None:
    room = Replica(1)
    for number, path in enumerate(
        ["../x", "/etc/passwd", "a//b", ".git/hooks/post-checkout", "a/.GIT/x", ""]
    ):
        room.edit(create(number, path))
    assert room.places == {}
    assert not RoomView(room.tree.rows, room.texts).placements, "nor in a room that is loaded"


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 3), st.integers(0, 7)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 2**32))
def test_replicas_that_repair_apart_end_alike(history: list[tuple[int, int, int, int]], seed: int) -> None:
    rng = random.Random(seed)
    replicas = [Replica(client) for client in (1, 2, 3)]
    paths = ["a", "b", "a/x", "b/x", "a/x/y"]
    made = 0
    for who, what, which, extra in history:
        replica = replicas[who]
        present = sorted(replica.view.placements)
        target = present[which % len(present)] if present else None
        placed = None if target is None else replica.view.get(target)
        path = paths[extra % len(paths)]
        match what:
            case 0:
                made += 1
                kind = (Kind.TEXT, Kind.BLOB, Kind.DIR)[extra % 3]
                replica.edit(create(made, path, kind, bytes([extra]), f"p{who}"))
            case 1 if placed is not None:
                replica.edit(SetPath(placed.entry, path))
            case 2 if placed is not None and placed.version is not None:
                old = (placed.version.digest,)
                replica.edit(PutVersion(placed.entry, version(bytes([extra, who]), f"p{who}"), old))
            case 3 if placed is not None:
                gone = placed.version
                replica.edit(
                    SetGone(placed.entry, replica.texts.state_vector(placed.entry))
                    if gone is None
                    else DropVersions(placed.entry, (gone.digest,))
                )
            case 4 if placed is not None:
                replica.edit(SetExecutable(placed.entry, bool(extra % 2)))
            case 5:
                replica.take(rng.choice(replicas))
                replica.repair()
    for _ in range(6):
        for replica in replicas:
            for other in replicas:
                replica.take(other)
            replica.repair()
    assert replicas[0].places == replicas[1].places == replicas[2].places
    for replica in replicas:
        assert replica.view.repairs(replica.texts.text_digest) == []
        paths_taken = [placed.path for placed in replica.view.placements.values()]
        assert len(paths_taken) == len(set(paths_taken))
        fresh = RoomView(replica.tree.rows, replica.texts)
        assert fresh.placements == replica.view.placements, "what is kept up to date is what is computed anew"


def test_versions_that_are_deleted_before_anybody_repaired_leave_no_copy() -> None:
    room = Replica(1)
    room.edit(create(1, "a.bin", Kind.BLOB, b"one"))
    room.edit(PutVersion(entry(1), version(b"two"), ()))
    room.edit(DropVersions(entry(1), (digest_of(b"one"), digest_of(b"two"))))
    assert room.view.repairs(room.texts.text_digest) == []
    assert room.places == {}


@pytest.mark.parametrize(
    ("target", "usable"),
    [("notes.md", True), (None, False), ("a\0b", False), ("x" * (limits.LINK_TARGET_MAX_BYTES + 1), False)],
)
def test_a_link_stands_where_its_target_is_one(target: str | None, usable: bool) -> None:
    room = Replica(1)
    content = Version(digest_of((target or "").encode()), 1, "Ann", 0, None, target)
    room.edit(Create(entry(1), Kind.LINK, "link", False, Origin("Ann", 0), content))
    assert ("link" in room.places) is usable


def test_a_deletion_that_cannot_be_read_covers_nothing() -> None:
    room = Replica(1)
    room.texts.vectors[entry(1)] = SEEN
    room.edit(create(1, "a"), SetGone(entry(1), b"\xff\xff"))
    assert "a" in room.places
