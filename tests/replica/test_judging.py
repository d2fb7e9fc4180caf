"""What is brought to a hub is judged in turns: however much it is, others are heard in between."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import judging
from crdtsync.core.replica.bringing import Bringing
from crdtsync.core.replica.judging import Judging
from crdtsync.core.text.diff import diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values.ids import EntryId
from tests.replica.test_bringing import FIRST, MARKED, MINE, THEIRS, clocks, text_of

ENTRIES = [EntryId(f"{number:024x}") for number in range(3)]
LOG = [FIRST, THEIRS, MINE]


@pytest.fixture
def each_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_COST_MAX", 1)


def turns(judging: Judging) -> list[list[tuple[EntryId, bytes]]]:
    """What is found in each event, until all is judged."""
    found = []
    while judging.waiting:
        judging.begin()
        found.append(list(judging.advance()))
    return found


@pytest.mark.usefixtures("each_a_turn")
def test_each_judgement_has_its_turn_and_finds_what_it_would_find_at_once() -> None:
    judging = Judging()
    for entry in ENTRIES:
        judging.bring(entry, Bringing(LOG, [MINE], clocks(FIRST, THEIRS)))
    found = turns(judging)
    assert [[entry for entry, _ in turn] for turn in found] == [[entry] for entry in ENTRIES]
    assert {text_of(*LOG, again) for turn in found for _, again in turn} == {MARKED}


@pytest.mark.usefixtures("each_a_turn")
def test_what_has_its_place_is_judged_though_the_hub_is_gone_meanwhile() -> None:
    judging = Judging()
    for entry in ENTRIES:
        judging.bring(entry, Bringing(LOG, LOG[1:], clocks(FIRST)))
        for update in LOG[1:]:
            judging.came(entry, update, (), ours=True)
    judging.away()
    again = [again for turn in turns(judging) for _, again in turn]
    assert [text_of(*LOG, each) for each in again] == [MARKED] * len(ENTRIES)


def test_what_was_on_its_way_to_a_hub_that_is_gone_has_no_place() -> None:
    judging = Judging()
    judging.bring(ENTRIES[0], Bringing(LOG, LOG[1:], clocks(FIRST)))
    assert turns(judging) == [[]]
    judging.away()
    judging.came(ENTRIES[0], MINE, (), ours=True)
    assert not judging.waiting


def test_what_others_bring_is_judged_against_what_a_file_had_left_of_it_unless_they_had_that() -> None:
    judging = Judging()
    later = TextDocument(3, [FIRST, MINE])
    on_top = later.edit(diff(MARKED, MARKED.replace("one [marked", "one [marked by them")))
    log = [FIRST, MINE, THEIRS, on_top]
    judging.again(ENTRIES[0], MINE, on_top, log)
    judging.again(ENTRIES[0], MINE, THEIRS, [FIRST, THEIRS])
    assert turns(judging) == []
    judging.again(ENTRIES[0], MINE, THEIRS, log[:3])
    [[(entry, again)]] = turns(judging)
    assert entry == ENTRIES[0] and text_of(*log[:3], again) == MARKED


def test_not_all_that_others_bring_is_judged_against_what_a_file_had_left() -> None:
    judging = Judging()
    assert not judging.may_have(ENTRIES[0], TextDocument(3).edit(diff("", "typed")))
    for _ in range(16):
        assert judging.may_have(ENTRIES[0], THEIRS)
        judging.again(ENTRIES[0], MINE, THEIRS, [])
    assert not judging.may_have(ENTRIES[0], THEIRS)


@pytest.mark.usefixtures("each_a_turn")
def test_what_is_judged_before_it_is_brought_tires_too() -> None:
    judging = Judging()
    bringing = Bringing(LOG, [MINE], clocks(FIRST, THEIRS))
    assert not judging.tired()
    assert len(judging.bring_judged(ENTRIES[0], bringing, ())) == 1 and judging.tired()
    judging.begin()
    assert judging.bring_judged(ENTRIES[0], bringing, [MINE]) == [] and not judging.tired()
