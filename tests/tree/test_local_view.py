"""Where a room's entries stand on a disk that takes several names for one."""

from __future__ import annotations

import random
from unicodedata import normalize

import pytest

from crdtsync.core.tree.local_view import LocalView
from crdtsync.core.tree.rows import Operation, SetGone, SetPath
from crdtsync.core.values import limits
from crdtsync.core.values.files import Kind
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.paths import spelling_name
from tests.tree.test_view import Replica, create, entry

CASE = Folding(case=True)
FORM = Folding(form=True)
BOTH = Folding(case=True, form=True)
NFC, NFD = normalize("NFC", "\u00e9"), normalize("NFD", "\u00e9")


def local(folding: Folding, *paths: str) -> list[str]:
    """Where the entries of a room stand that were made in this order at these paths."""
    room = Replica(1)
    room.edit(*(create(number, path) for number, path in enumerate(paths)))
    view = LocalView(room.view, folding)
    return [view.placements[entry(number)].path for number in range(len(paths))]


@pytest.mark.parametrize(
    ("folding", "room", "here"),
    [
        (PLAIN, ["a.md", "A.md"], ["a.md", "A.md"]),
        (CASE, ["a.md", "A.md"], ["a.md", "A (*).md"]),
        (CASE, ["A.md", "a.md"], ["A.md", "a (*).md"]),
        (CASE, ["a", "A", "b"], ["a", "A (*)", "b"]),
        (CASE, ["a", "b/A"], ["a", "b/A"]),
        (FORM, ["a", "A"], ["a", "A"]),
        (FORM, [NFC, NFD], [NFC, f"{NFC} (*)"]),
        (FORM, [NFD], [NFC]),
        (FORM, [f"{NFD}/{NFD}"], [f"{NFC}/{NFC}"]),
        (CASE, [NFD], [NFD]),
        (BOTH, [NFC, NFD.upper()], [NFC, f"{NFC.upper()} (*)"]),
        # Of two folders the first by name keeps it, and with it all that it holds.
        (CASE, ["docs/b", "Docs/a"], ["docs (*)/b", "Docs/a"]),
        (CASE, ["docs/x/b", "Docs/a"], ["docs (*)/x/b", "Docs/a"]),
        # A folder keeps its name before a file.
        (CASE, ["a", "A/in"], ["a (*)", "A/in"]),
        (Folding(tail=True), ["a.", "b. ", "..."], ["a", "b", "..."]),
        (Folding(tail=True), ["a.", "a"], ["a", "a (*)"]),
        (CASE, ["stra\u00dfe", "STRASSE"], ["stra\u00dfe", "STRASSE (*)"]),
    ],
)
def test_names_that_are_one_here_stand_apart(folding: Folding, room: list[str], here: list[str]) -> None:
    shown = []
    for path in local(folding, *room):
        before, tag, rest = path.partition(" (other spelling, ")
        shown.append(f"{before} (*{rest[8:]}" if tag else path)
    assert shown == here


def test_a_derived_name_keeps_clear_of_a_name_of_the_room() -> None:
    _, derived = local(CASE, "a", "A")
    first, second, third = local(CASE, "a", "A", derived)
    assert first == "a"
    assert third == derived
    assert len({CASE.key(each) for each in (first, second, third)}) == 3


@pytest.mark.parametrize("more", ["", "/c.md"])
def test_a_name_of_the_room_that_looks_derived_is_found_where_it_stands(more: str) -> None:
    paths = [f"a{more}", f"A{more}"]
    paths += [here for here in local(CASE, *paths) if here not in paths]
    assert len(paths) == 3
    room = Replica(1)
    room.edit(*(create(number, path) for number, path in enumerate(paths)))
    view = LocalView(room.view, CASE)
    for number, path in enumerate(paths):
        here = view.placements[entry(number)].path
        assert view.at(here) == entry(number)
        assert view.room_path(here) == path


def test_a_derived_name_is_short_enough() -> None:
    name = "n" * (limits.NAME_MAX_BYTES - 3) + ".md"
    _, derived = local(CASE, name, name.upper())
    assert len(derived.encode()) <= limits.NAME_MAX_BYTES
    assert derived.endswith(").MD")


def test_a_name_is_given_back_when_nobody_else_claims_it() -> None:
    room = Replica(1)
    room.edit(create(1, "docs/a"), create(2, "Docs/a"))
    view = LocalView(room.view, CASE)
    assert view.placements[entry(1)].path != "docs/a"
    _, changed = room.tree.edit([SetPath(entry(2), "elsewhere")])
    view.refresh(changed)
    assert view.placements[entry(1)].path == "docs/a"
    assert view.take_moved() == {entry(1), entry(2)}
    assert "Docs/a" in view.take_left()


def test_what_is_seen_on_disk_is_found_in_the_room_and_the_other_way_round() -> None:
    room = Replica(1)
    room.edit(create(1, "a"), create(2, "A"), create(3, f"{NFD}/x"), create(4, "Docs/b"), create(5, "docs/b"))
    view = LocalView(room.view, BOTH)
    for placed in view.placements.values():
        assert view.at(placed.path) == placed.entry
        assert view.room_path(placed.path) == room.view.placements[placed.entry].path
    assert view.at("A") is None
    assert view.at("docs/b") is None
    assert view.holds_below(NFC)
    assert not view.holds_below("docs")
    assert all(map(view.may_need, ["docs", "DOCS", NFC, NFD]))
    assert not any(map(view.may_need, ["a", "b", "docs/b"]))
    assert view.needs("Docs") and view.needs(NFC) and not view.needs("docs")
    derived = view.placements[entry(5)].path.partition("/")[0]
    assert view.needs(derived) and view.may_need(derived)
    assert view.room_path(f"{NFC}/new") == f"{NFD}/new"


def test_a_file_that_takes_its_name_along_keeps_it_in_the_room() -> None:
    room = Replica(1)
    room.edit(create(1, "p/a"), create(2, "p/A"), create(3, "p/docs/x"), create(4, "p/Docs/x"))
    view = LocalView(room.view, CASE)
    derived = view.placements[entry(2)].path.rpartition("/")[2]
    assert derived == spelling_name("A", derived[-9:-1])
    assert view.room_path(f"q/{derived}", entry(2)) == "q/A"
    assert view.room_path("q/B", entry(2)) == "q/B"
    folder = view.placements[entry(3)].path.split("/")[1]
    assert folder != "docs"
    assert view.room_path(f"q/{folder}/x", entry(3)) == "q/docs/x"
    assert view.room_path(f"p/{folder}/y", entry(3)) == "p/docs/y"


def test_a_view_that_followed_every_change_is_the_one_made_at_once() -> None:
    names = ["a", "A", NFC, NFD, NFC.upper(), "a (other spelling)", "b"]
    for seed in range(30):
        rng = random.Random(seed)
        room = Replica(1)
        view = LocalView(room.view, BOTH)
        numbers: list[int] = []
        for number in range(60):
            path = "/".join(rng.choices(names, k=rng.choice([1, 1, 2, 3])))
            operation: Operation
            if numbers and rng.random() < 0.3:
                operation = SetGone(entry(rng.choice(numbers)), b"\x01\x05\x03")
            elif numbers and rng.random() < 0.4:
                operation = SetPath(entry(rng.choice(numbers)), path)
            else:
                operation = create(number, path, rng.choice([Kind.TEXT, Kind.BLOB]))
                numbers.append(number)
            before = {each: placed.path for each, placed in view.placements.items()}
            view.take_moved()
            _, changed = room.tree.edit([operation])
            view.refresh(changed)
            after = {each: placed.path for each, placed in view.placements.items()}
            moved = {each for each in before | after if before.get(each) != after.get(each)}
            assert view.take_moved() == moved
            assert dict(view.placements) == dict(LocalView(room.view, BOTH).placements)
            room_paths = {placed.path for placed in room.view.placements.values()}
            assert len({BOTH.path_key(path) for path in after.values()}) == len(room_paths)


def test_a_derived_name_whose_owner_is_gone_is_no_name_of_the_room() -> None:
    _, derived = local(CASE, "a", "A")
    view = LocalView(Replica(1).view, CASE)
    assert view.room_path(f"x/{derived}/new") == "x/A/new"
    assert view.at(derived) is None
    forged = derived.replace("A", "B")
    assert view.room_path(forged) == forged
    assert LocalView(Replica(1).view).room_path(derived) == derived
