"""The rows of a tree that was loaded are those of one that followed every change."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

import pytest
from pycrdt import Doc, Map

from crdtsync.core.tree.document import COLUMNS, TreeDocument
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
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId, new_entry_id
from crdtsync.errors import MalformedUpdate

DIGEST = digest_of(b"a")


def _some_operations(rng: random.Random) -> list[Operation]:
    version = Version(DIGEST, 1, "Ann", 5, digest_of(b"index"))
    link = Version(digest_of(b"t"), 1, "Bob \N{GRINNING FACE}", 6, target="t")
    made: list[EntryId] = []
    operations: list[Operation] = []
    for kind in Kind:
        entry = new_entry_id(rng)
        made.append(entry)
        content = {Kind.BLOB: version, Kind.LINK: link}.get(kind)
        operations.append(
            Create(entry, kind, f'{kind.value} é\u2028"\\', rng.random() < 0.5, Origin("Ann", 7), content)
        )
    return [
        *operations,
        SetPath(made[0], "d/other name", made[1]),
        SetExecutable(made[0], True),
        SetExecutable(made[0], False),
        SetGone(made[0], b"\1\2\x03"),
        PutVersion(made[1], Version(digest_of(b"b"), 2, "Bob", 8), (DIGEST,)),
        DropVersions(made[2], (link.digest,)),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_loaded_tree_has_the_rows_of_the_one_that_was_written(seed: int) -> None:
    rng = random.Random(seed)
    written, followed = TreeDocument(1), TreeDocument(2)
    updates = [written.edit([operation])[0] for operation in _some_operations(rng)]
    for update in updates:
        followed.apply_update(update)
    assert len(written.rows) == len(Kind)
    assert followed.rows == written.rows
    assert TreeDocument(3, updates).rows == written.rows
    assert TreeDocument(4, [written.encode_state()]).rows == written.rows


def _bytes_for_text(doc: Doc[Any], entry: str) -> None:
    for name in ("path", "kind", "exec", "origin"):
        doc.get(name, type=Map)[entry] = b"a"


def _text_for_bytes(doc: Doc[Any], entry: str) -> None:
    for name, value in (
        ("path", "a"),
        ("kind", "text"),
        ("gone", "a"),
        ("exec", 1),
        ("origin", [1, {"by": 2}]),
    ):
        doc.get(name, type=Map)[entry] = value


def _numbers_that_are_none(doc: Doc[Any], entry: str) -> None:
    doc.get("origin", type=Map)[entry] = {"by": 5, "at": float("nan"), "copy_of": entry.upper()}
    version = {"size": 1.5, "by": b"a", "at": float("inf"), "target": b"t", "index": "short"}
    doc.get("versions", type=Map)[f"{entry}:{DIGEST}"] = version
    doc.get("versions", type=Map)[f"{entry}:{digest_of(b'b')}"] = {**version, "size": 1e300}
    doc.get("versions", type=Map)[f"{entry}:{digest_of(b'c')}"] = {**version, "size": 2, "at": -1}


def _nothing(doc: Doc[Any], entry: str) -> None:
    for name in COLUMNS:
        doc.get(name, type=Map)[entry] = None
        doc.get(name, type=Map)["no identity"] = "a"


@pytest.mark.parametrize("forge", [_bytes_for_text, _text_for_bytes, _numbers_that_are_none, _nothing])
def test_a_forged_value_is_the_same_to_whoever_loads_it(forge: Callable[[Doc[Any], str], None]) -> None:
    """Else a replica that was started anew would see another room than the others."""
    entry = new_entry_id(random.Random(1))
    doc: Doc[Any] = Doc(client_id=9)
    with doc.transaction():
        forge(doc, entry)
    followed = TreeDocument(1)
    followed.apply_update(doc.get_update())
    assert followed.rows.keys() == {entry}
    assert TreeDocument(2, [doc.get_update()]).rows == followed.rows
    assert TreeDocument(3, [TreeDocument(4).encode_state(), doc.get_update()]).rows == followed.rows


def test_a_loaded_tree_follows_what_comes() -> None:
    first, second = TreeDocument(1), TreeDocument(2)
    operations = _some_operations(random.Random(1))
    loaded = TreeDocument(3, [first.edit(operations[:3])[0]])
    update, changed = first.edit(operations[3:])
    assert loaded.apply_update(update) == changed
    assert loaded.rows == first.rows
    assert second.apply_update(loaded.encode_state())
    assert second.rows == first.rows


@pytest.mark.parametrize("seed", range(4))
def test_a_tree_with_a_snapshot_goes_on_as_one_that_was_loaded(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 1)
    rng = random.Random(seed)
    written, other = TreeDocument(1), TreeDocument(2)
    made = [new_entry_id(rng) for _ in range(3)]
    creations = [Create(each, Kind.TEXT, f"{each}\n.txt", False, Origin("Ann", 7)) for each in made]
    written.edit([*creations, *_some_operations(rng)])
    state = written.encode_state()
    other.apply_update(state)
    snapshot = written.snapshot(state)
    started = TreeDocument(3, [state], {}, snapshot)
    assert started.resting
    assert started.rows == written.rows
    assert (started.encode_state(), started.state_vector) == (state, written.state_vector)

    renamed, _ = other.edit([SetPath(made[0], "renamed"), SetGone(made[1], b"\1")])
    assert started.apply_update(renamed) == written.apply_update(renamed) == {made[0], made[1]}
    ours, changed = started.edit([SetPath(made[2], "by us")])
    assert changed == {made[2]} and written.apply_update(ours) == {made[2]}
    assert started.rows == written.rows


def test_a_snapshot_says_nothing_of_any_other_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 1)
    tree = TreeDocument(1)
    tree.edit([Create(EntryId("0" * 24), Kind.TEXT, "before", False, Origin())])
    before = tree.encode_state()
    snapshot = tree.snapshot(before)
    update, _ = tree.edit([SetPath(EntryId("0" * 24), "after")])
    for log in ([tree.encode_state()], [before, update]):
        started = TreeDocument(2, log, {}, snapshot)
        assert not started.resting
        assert started.rows == tree.rows
    assert not TreeDocument(2, [before], {}, snapshot.replace('"format":1', '"format":2')).resting


def test_of_a_small_tree_and_of_one_that_waits_there_is_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    author, reader = TreeDocument(1), TreeDocument(2)
    author.edit([SetPath(EntryId("0" * 24), "one")])
    second, _ = author.edit([SetPath(EntryId("0" * 24), "two")])
    assert author.snapshot(author.encode_state()) == ""
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 0)
    reader.apply_update(second)
    assert reader.snapshot(reader.encode_state()) == ""


class Kept(NamedTuple):
    entry: EntryId
    path: str


def test_identities_and_paths_that_are_known_are_not_kept_twice() -> None:
    entry = new_entry_id(random.Random(1))
    written = TreeDocument(1)
    written.edit([Create(entry, Kind.TEXT, "some/path", False, Origin())])
    path = "/".join(["some", "path"])
    loaded = TreeDocument(2, [written.encode_state()], {entry: Kept(entry, path)})
    assert next(iter(loaded.rows)) is entry
    assert loaded.rows[entry].path is path


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.DIR])
def test_a_snapshot_keeps_what_is_known_no_second_time(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 1)
    entry, other = new_entry_id(random.Random(1)), new_entry_id(random.Random(2))
    written = TreeDocument(1)
    written.edit([Create(entry, kind, "some/path", False, Origin())])
    written.edit([Create(other, kind, "other/path", False, Origin())])
    state = written.encode_state()
    path = "/".join(["some", "path"])
    known = {entry: Kept(entry, path), other: Kept(other, "where it stood before")}
    started = TreeDocument(2, [state], known, written.snapshot(state))
    assert started.resting
    assert {id(each) for each in started.rows} == {id(entry), id(other)}
    assert started.rows[entry].path is path
    assert started.rows == written.rows


class PanicException(BaseException):
    """Stands in for that of pycrdt, which cannot be imported."""


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (PanicException("out of bounds"), MalformedUpdate),
        (RuntimeError("refused"), MalformedUpdate),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_tree_goes_on_whatever_goes_wrong_within_pycrdt(
    error: BaseException, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    author, reader = TreeDocument(1), TreeDocument(2)
    operations = _some_operations(random.Random(1))
    reader.apply_update(author.edit(operations[:3])[0])
    before = dict(reader.rows)

    def fails(*_: object) -> None:
        raise error

    lost, _ = author.edit(operations[3:])
    with monkeypatch.context() as broken, pytest.raises(raised):
        broken.setattr(Doc, "apply_update", fails_once(fails))
        reader.apply_update(lost)
    assert reader.rows == before
    made, _ = reader.edit([SetPath(next(iter(before)), "goes on")])
    author.apply_update(made)
    reader.apply_update(author.diff_update(reader.state_vector))
    assert reader.rows == author.rows


def fails_once(failing: Callable[..., None]) -> Callable[..., None]:
    """``Doc.apply_update`` that fails at first."""
    works = Doc.apply_update
    calls: list[None] = []

    def apply(*arguments: Any) -> None:
        calls.append(None)
        (failing if len(calls) == 1 else works)(*arguments)

    return apply


def test_a_document_at_rest_goes_on_as_if_it_had_never_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 2)
    resting, other = TreeDocument(1), TreeDocument(2)
    entries = [EntryId(f"{number:024x}") for number in range(4)]
    assert not resting.rest(), "too few to be worth it"
    made, _ = resting.edit(
        [Create(each, Kind.TEXT, f"{each}.txt", False, Origin("a", 1)) for each in entries]
    )
    other.apply_update(made)
    rows, state, vector = dict(resting.rows), resting.encode_state(), resting.state_vector
    assert resting.rest() and not resting.rest()
    assert (resting.rows, resting.encode_state(), resting.state_vector) == (rows, state, vector)

    renamed, _ = other.edit([SetPath(entries[1], "by another")])
    assert resting.apply_update(renamed) == {entries[1]}
    assert resting.rows[entries[1]].path == "by another"

    assert resting.rest()
    ours, changed = resting.edit([SetPath(entries[2], "by us")])
    assert changed == {entries[2]}
    assert other.apply_update(ours) == {entries[2]}

    assert resting.rest()
    fresh = TreeDocument(3, [resting.diff_update(b"\0")])
    assert fresh.rows == resting.rows == other.rows


def test_a_document_that_waits_for_an_update_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 0)
    author, reader = TreeDocument(1), TreeDocument(2)
    first, _ = author.edit([SetPath(EntryId("0" * 24), "one")])
    second, _ = author.edit([SetPath(EntryId("0" * 24), "two")])
    reader.apply_update(second)
    assert reader.pending and not reader.rest()
    reader.apply_update(first)
    assert reader.rows[EntryId("0" * 24)].path == "two" and reader.rest()


def test_what_changes_nothing_makes_no_update() -> None:
    tree = TreeDocument(1)
    entry = new_entry_id(random.Random(1))
    tree.edit([Create(entry, Kind.TEXT, "a", False, Origin())])
    nothing: tuple[Operation, ...] = (SetExecutable(entry, False), DropVersions(entry, (DIGEST,)))
    assert tree.edit(nothing) == (b"", set())


def test_a_tree_that_nobody_holds_any_more_is_let_go_of_with_its_document() -> None:
    tree = TreeDocument(1)
    tree.edit(_some_operations(random.Random(1)))
    document, columns = ref(tree._doc), [ref(column) for column in tree._columns.values()]
    assert document() is not None
    del tree
    gc.collect()
    assert document() is None
    assert not any(column() for column in columns)
