"""Faults put into the engines on purpose: the simulator has to see each of them.

A story of ``test_found`` that a mutant spoils is named by its function; where a seed is given, the world of
that seed keeps every promise without the mutant. Seeds shift when workloads change: then run a mutant over
some hundred seeds, and take the first whose world it breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest

from crdtsync.adapters import replacing
from crdtsync.core.hub import engine as hub_engine
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.replica import bases, hub_side, ingest, successors, transfers
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.doubts import Doubts
from crdtsync.core.replica.effects import DropDisplaced
from crdtsync.core.replica.hub_side import HubSide
from crdtsync.core.replica.observing import Observing
from crdtsync.core.replica.session import HubSession
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.swapping import Swapping
from crdtsync.core.replica.unaccepted import UnacceptedEdits
from crdtsync.core.text.diff import diff
from crdtsync.core.tree import view
from crdtsync.core.wire.control import Cursor
from crdtsync.testing.oracles import Broken
from crdtsync.testing.world import World
from tests.doors import test_texts as doors
from tests.simulation import test_found as stories
from tests.simulation import test_found_folders as folders
from tests.simulation import test_found_races as races
from tests.simulation import test_second_lines as second_lines
from tests.simulation import test_transactions as transactions
from tests.simulation.plans import plain_plan

Mutant = Callable[[], AbstractContextManager[object]]


def _drop(self: transfers.Transfers, displaced: Any, *_: object) -> None:
    self._state.out.effect(DropDisplaced(displaced.token))


def _sure(self: Doubts, entry: Any, _: object) -> bool:
    self._state.sure(entry)
    return True


def _pass_all(self: Deletions, *_: object) -> tuple[list[Any], bool]:
    burst = list(self._burst)
    self._burst.clear()
    self.passed.update(burst)
    return burst, False


def _honour_every_cursor(cursor: Cursor | None, epochs: object, durable: int) -> int:
    return 0 if cursor is None else min(cursor.sequence, durable)


_inspect = replacing.Replacing._inspect


def _taken_for_expected(self: replacing.Replacing, held: Any, fd: int, expected: Any) -> Any:
    _, signature = _inspect(self, held, fd, expected)
    return replacing._Out.EXPECTED, signature


_append = HubEngine._append


def _acknowledged_at_once(self: HubEngine) -> None:
    before = self._appending
    _append(self)
    for name, through in (self._appending or {}).items() if before is None else ():
        self._rooms[name].stored(through)


_answer = OpenText.answer


def _answered_to_all(self: OpenText, channel: Channel, *said: Any) -> None:
    for each in {channel.number: channel, **self.channels}.values():
        _answer(self, each, *said)


def _one_change(killed: str) -> None:
    stories.test_the_same_change_by_two_is_there_once_also_if_they_are_killed_before_they_know(killed)


STORIES: dict[str, tuple[Mutant, Callable[[], None]]] = {
    "a deletion covers what its author had not seen": (
        lambda: patch.object(view, "covers", lambda *_: True),
        races.test_an_edit_survives_a_deletion_by_someone_who_had_not_seen_it,
    ),
    "what a scan does not find is not looked for": (
        lambda: patch.object(Observing, "_missing", lambda *_: None),
        folders.test_a_deletion_of_which_the_watcher_lost_the_event_is_found_by_a_scan,
    ),
    "two who make one change both keep theirs": (
        lambda: patch.object(ingest.Ingest, "take_back_doubled", lambda *_: None),
        lambda: _one_change("a"),
    ),
    "files that change names are edits of each other": (
        lambda: patch.object(Swapping, "take", lambda self, seen, now: dict(seen)),
        stories.test_files_that_changed_names_take_along_what_others_write_in_them,
    ),
    "nobody offers a blob that others ask for": (
        lambda: patch.object(HubSide, "on_wanted", lambda *_: None),
        stories.test_a_blob_that_the_hub_lost_before_its_entry_came_is_asked_for_and_offered_again,
    ),
    "every save is of what stood on disk last": (
        lambda: patch.object(bases, "choose_base", lambda *_, **__: None),
        stories.test_a_buffer_of_a_file_that_others_replaced_is_merged_into_what_stands_there_now,
    ),
    "what stood at a path before is no base of a save there": (
        lambda: patch.object(Documents, "comes", lambda *_: None),
        stories.test_a_buffer_of_a_file_that_others_replaced_is_merged_into_what_stands_there_now,
    ),
    "after a kill the disk is not asked what was done": (
        lambda: patch.object(Doubts, "made_sure", _sure),
        lambda: stories.test_a_revert_while_the_replica_is_down_is_one_unless_power_may_have_been_lost("2"),
    ),
    "what comes out of an exchange is not looked at": (
        lambda: patch.object(replacing.Replacing, "_inspect", _taken_for_expected),
        second_lines.at_the_exchange,
    ),
    "what the disk changed is taken in before what others did": (
        lambda: patch.object(ReplicaState, "may_ingest", property(lambda self: self.running)),
        stories.test_an_edit_made_while_it_was_dead_is_still_one_after_two_starts_without_the_hub,
    ),
    "an answer to one page is told to all": (
        lambda: patch.object(OpenText, "answer", _answered_to_all),
        doors.test_a_step_2_is_for_the_one_who_asked,
    ),
    "a mass deletion is not held": (
        lambda: patch.object(Deletions, "judge", _pass_all),
        stories.test_a_flush_ends_while_the_deletion_of_a_whole_folder_is_held,
    ),
    "a move that was done before a kill is tried again": (
        lambda: patch.object(successors, "is_that", lambda *_: True),
        transactions.test_a_file_saved_where_one_stood_that_was_moved_before_a_kill_is_another,
    ),
}

SEEDS: dict[str, tuple[Mutant, int]] = {
    "our edits replace what others made meanwhile": (
        lambda: patch.object(ingest, "rebase", lambda base, ours, theirs, **_: diff(theirs, ours)),
        2012,
    ),
    "a save that raced the exchange is dropped": (
        lambda: patch.object(transfers.Transfers, "take_displaced", _drop),
        2012,
    ),
    "a restored hub honours every cursor": (
        lambda: patch.object(hub_engine, "resume_after", _honour_every_cursor),
        2045,
    ),
    "updates are not sent": (lambda: patch.object(HubSession, "push", lambda *_: None), 2001),
}


PAIRS: dict[str, tuple[Mutant, Mutant, Callable[[], None]]] = {
    "acknowledged before it is durable, and no cursor is doubted": (
        lambda: patch.object(HubEngine, "_append", _acknowledged_at_once),
        lambda: patch.object(hub_engine, "resume_after", _honour_every_cursor),
        second_lines.test_what_the_hub_lost_before_it_was_durable_comes_again_from_who_had_saved_it,
    ),
    "taken in before what others did, and nobody takes back what is there twice": (
        lambda: patch.object(ReplicaState, "may_ingest", property(lambda self: self.running)),
        lambda: patch.object(ingest.Ingest, "take_back_doubled", lambda *_: None),
        second_lines.test_the_same_change_made_while_one_was_cut_off_is_there_once,
    ),
    "what the hub has not placed is forgotten by a kill, and nobody judges what is brought": (
        lambda: patch.object(UnacceptedEdits, "recall", lambda *_: None),
        lambda: patch.object(hub_side, "brought", lambda *_: None),
        lambda: _one_change("both"),
    ),
}
"""Each of two lines of defence holds without the other; without both the story is spoiled."""


@pytest.mark.parametrize("name", PAIRS)
def test_one_line_of_defence_holds_without_the_other(name: str) -> None:
    first, second, story = PAIRS[name]
    for mutant in (first, second):
        with mutant():
            story()
    with first(), second(), pytest.raises(AssertionError):
        story()


@pytest.mark.parametrize("name", STORIES)
def test_a_mutant_spoils_its_story(name: str) -> None:
    mutant, story = STORIES[name]
    story()
    with mutant(), pytest.raises(AssertionError):
        story()


@pytest.mark.parametrize("name", SEEDS)
def test_a_mutant_breaks_the_world_of_its_seed(name: str) -> None:
    mutant, seed = SEEDS[name]
    plan = plain_plan(seed)
    World(seed, plan).run()
    with mutant(), pytest.raises(Broken):
        World(seed, plan).run()
