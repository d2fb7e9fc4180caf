"""Whole worlds from their seeds: every promise holds, and a seed always tells the same story."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from random import Random

import pytest

from crdtsync.core.hub.effects import Close
from crdtsync.core.replica.records import AddUpdate
from crdtsync.core.text.first import FirstText, write_first
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.ids import DocumentId
from crdtsync.testing.campaign import Told, campaign, options_of
from crdtsync.testing.editors import Editor
from crdtsync.testing.oracles import (
    Broken,
    Ledger,
    check_kept,
    check_nothing_doubled,
    check_nothing_lost,
    check_once,
)
from crdtsync.testing.plan import LATER_FAULTS, Plan
from crdtsync.testing.simulate import main, shrunk
from crdtsync.testing.texts import formatted
from crdtsync.testing.tokens import FIRST_COMMON_TOKEN, tokens
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from crdtsync.testing.world import World
from tests.simulation.plans import plain_plan
from tests.simulation.scene import Scene

BLOCK = 10
OLD = digest_of(b"old")


@pytest.mark.parametrize("first_seed", range(2001, 2121, BLOCK))
def test_every_promise_holds_in_worlds_of_all_kinds(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + BLOCK):
        World(seed).run()


def harsh(fault: str) -> Plan:
    groups, faults = frozenset({"blobs", "structure"}), frozenset({fault, "kill", "cut"})
    return Plan(replicas=3, acts=25, pause_s=0.1, groups=groups, faults=faults, turns=1, typists=1)


@pytest.mark.parametrize("fault", LATER_FAULTS)
def test_every_promise_holds_whatever_fails(fault: str) -> None:
    for seed in range(1, 4):
        World(seed, harsh(fault)).run()


@pytest.mark.parametrize("fault", ["hub_kill", "hub_restore", "half_open", "slow"])
def test_every_promise_holds_with_several_documents_at_one_connection(fault: str) -> None:
    for seed in (1, 2):
        World(seed, replace(harsh(fault), hocuspocus=3)).run()


def test_readers_do_fall_behind_where_they_are_slow() -> None:
    worlds = [World(seed, replace(harsh("slow"), faults=frozenset({"slow"}))) for seed in (2, 3, 4)]
    for world in worlds:
        world.run()
    assert any(world.hub.counts.fell_behind for world in worlds)
    assert all(world.hub.counts.compactions for world in worlds)


@pytest.mark.parametrize("seed", [1041, 1249, 1278, 8064, 10503, 11033, 11243, 20181, 20374, 23380])
def test_worlds_that_once_broke_a_promise_keep_it(seed: int) -> None:
    World(seed, replace(plain_plan(seed), disks=())).run()


def test_a_seed_tells_the_same_story_twice() -> None:
    assert World(7).run() == World(7).run()


def test_a_seed_tells_the_same_story_whatever_the_order_of_hashes() -> None:
    stories = {
        subprocess.run(
            [
                sys.executable,
                "-m",
                "crdtsync.testing.simulate",
                "--seeds",
                "3",
                "--first-seed",
                "21",
                "--digests",
            ],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.partition(" worlds")[0]
        for hash_seed in ("1", "2")
    }
    assert len(stories) == 1


def test_two_processes_tell_the_same_stories_in_the_same_order(capfd: pytest.CaptureFixture[str]) -> None:
    told = []
    for jobs in ("1", "2"):
        assert main(["--seeds", "10", "--first-seed", "21", "--digests", "--jobs", jobs]) == 0
        told.append(capfd.readouterr().out.partition(" in ")[0])
    assert told[0] == told[1]
    assert told[0].count("\n") == 10


def test_a_plan_is_read_back_as_it_was_written() -> None:
    for seed in range(50):
        plan = Plan.of_seed(seed)
        assert Plan.parse(str(plan)) == plan


def test_what_nobody_took_out_is_missed() -> None:
    scene, ledger = Scene(), Ledger()
    token = ledger.new_token()
    ledger.saved("a", b"", token.encode())
    with pytest.raises(Broken, match="nowhere"):
        check_nothing_lost(ledger, [scene.a, scene.b])
    scene.save(scene.a, "note.md", f"{token}\n")
    scene.rest()
    check_nothing_lost(ledger, [scene.a, scene.b])


def test_what_stands_twice_in_one_file_is_noticed() -> None:
    scene, ledger = Scene(), Ledger()
    token = ledger.new_token()
    scene.save(scene.a, "note.md", f"{token}\n{token}\n")
    with pytest.raises(Broken, match="twice"):
        check_nothing_doubled([scene.a])


@pytest.mark.parametrize(
    ("text", "is_fault"),
    [
        ("{t} {new}\n{t} {old} {more}\n", False),
        ("{old} {new}\n{old} {more}\n", True),
        ("{t} {new}\n{t} {old} {more}\n{t} {old}\n", True),
        ("{t} {old}\n{t} {old} {more}\n", True),
        ("{t} {new} {t}\n{t} {old} {more}\n", True),
        ("{t} {new}\n{t}\n", True),
    ],
)
def test_a_line_that_one_took_out_while_others_went_on_with_it_may_stand_as_each_has_it(
    text: str, is_fault: bool
) -> None:
    scene, ledger = Scene(), Ledger()
    t, old, new, more = (ledger.new_token() for _ in range(4))
    line = f"{t} {old}\n".encode()
    ledger.saved("a", b"", line)
    ledger.saved("a", line, f"{old} {new}\n".encode())
    ledger.saved("b", line, f"{t} {old} {more}\n".encode())
    scene.save(scene.a, "note.md", text.format(t=t, old=old, new=new, more=more))
    with pytest.raises(Broken, match="twice") if is_fault else nullcontext():
        check_nothing_doubled([scene.a], ledger)


def test_what_a_program_puts_back_over_a_save_of_another_here_may_stand_twice() -> None:
    scene, ledger = Scene(), Ledger()
    old, new = (ledger.new_token() for _ in range(2))
    ledger.saved("a", b"", seen := f"{old}\n".encode())
    ledger.saved("a", seen, there := f"{new}\n".encode())
    scene.save(scene.a, "note.md", f"{old}\n{old}\n")
    ledger.overwritten("a", b"of someone else\n", seen, seen)
    with pytest.raises(Broken, match="twice"):
        check_nothing_doubled([scene.a], ledger)
    ledger.overwritten("a", there, seen, seen)
    check_nothing_doubled([scene.a], ledger)


@pytest.mark.parametrize(
    ("marked", "is_fault"),
    [
        ("{line}{mark}{mark}\n", True),
        ("{line}{mark}\n{line}{mark}\n", True),
        ("{line}{mark}\n{mark} carried away from its line\n", False),
        ("{line} [checked typed into it {token}]{mark}\n", False),
    ],
)
def test_a_mark_of_a_tool_may_stand_once_at_its_line(marked: str, is_fault: bool) -> None:
    scene, line = Scene(), "a line"
    token = next(char for char in formatted(line) if ord(char) >= FIRST_COMMON_TOKEN)
    scene.save(scene.a, "note.md", marked.format(line=line, mark=f" [checked {token}]", token=token))
    with pytest.raises(Broken, match="twice") if is_fault else nullcontext():
        check_nothing_doubled([scene.a])


@pytest.mark.parametrize(
    ("seen", "is_fault"),
    [
        ("{line}{line}", False),
        ("{marked}{line}", False),
        ("{line}", True),
        ("{marked}{marked}", True),
    ],
)
def test_a_tool_marks_each_of_two_equal_lines_in_one_save(seen: str, is_fault: bool) -> None:
    scene, ledger, line = Scene(), Ledger(), "a line\n"
    before = seen.format(line=line, marked=formatted(line))
    after = "".join(map(formatted, before.splitlines(keepends=True)))
    ledger.saved("a", before.encode(), after.encode())
    scene.save(scene.a, "note.md", formatted(line) * 2)
    with pytest.raises(Broken, match="twice") if is_fault else nullcontext():
        check_nothing_doubled([scene.a], ledger)


@pytest.mark.parametrize(
    ("old", "new", "left", "there", "is_fault"),
    [
        ("", "{a}\n{b}\n{c}\n", "{a}\n", "{a}\n", False),
        ("", "{a}\n{b}\n{c}\n", "{a}\n", "{b}\n", True),  # what it left is owed
        ("", "{a}\n{b} {c}\n", "{a}\n{b} ", "{a}\n{b}\n", True),  # that it was cut off shows
        ("", "{a}\n{b}\n{c}\n", "", "", True),
        ("", "{a}\n{b}\n{c}\n", "{b}\n", "{b}\n", True),  # someone took out the first line, no power cut
        ("{a}\n{b}\n", "{a}\n{c}\n{b}\n", "{a}\n{b}\n", "{a}\n{b}\n", True),  # the old one, as it was
        ("{a}\n{b}\n{c}\n", "{a}\n{d}\n{b}\n{c}\n", "{a}\n{d}\n{c}\n", "{a}\n{d}\n{c}\n", False),
        ("{a}\n{b}\n{c}\n", "{a}\n{d} {b}\n{c}\n", "{a}\n{d} \n{c}\n", "{a}\n{d}\n{c}\n", True),
        ("{a} {b}\n", "{c} {d}\n", "{c} {b}\n", "{c} {b}\n", False),
        ("{a}-{b}\n", "{c}-{d}\n", "{c}-{b}\n", "{c}-{b}\n", True),  # within a word it shows
        ("{a} {b}\n", "{c} {d}\n\n", "{c} {b}\n\n", "{c} {b}\n", True),  # of another length
    ],
)
def test_where_a_power_cut_left_whole_lines_or_words_of_a_save_the_others_may_be_gone(
    old: str, new: str, left: str, there: str, is_fault: bool
) -> None:
    scene, ledger = Scene(), Ledger()
    names = {name: ledger.new_token() for name in "abcd"}
    was, written, cut, kept = (text.format(**names) for text in (old, new, left, there))
    ledger.saved("b", b"", f"{was}{written}".encode())
    ledger.cut_off("a", was.encode(), [written.encode()], cut.encode())
    scene.save(scene.a, "note.md", kept)
    with pytest.raises(Broken, match="nowhere") if is_fault else nullcontext():
        check_nothing_lost(ledger, [scene.a])


def test_what_a_power_cut_left_twice_is_there_twice() -> None:
    scene, ledger = Scene(), Ledger()
    one, two = ledger.new_token(), ledger.new_token()
    old, new, left = f"a {one}\n{two} b\n", f"a {two}\nc\nd\n", f"a {two}\n{two} b\n"
    scene.save(scene.a, "note.md", left)
    with pytest.raises(Broken, match="twice"):
        check_nothing_doubled([scene.a], ledger)
    ledger.cut_off("a", old.encode(), [new.encode()], left.encode())
    check_nothing_doubled([scene.a], ledger)


@pytest.mark.parametrize(
    ("stage", "base", "new", "is_fault"),
    [
        ("x", b"old", b"new", False),
        ("d", b"old", b"new", False),
        ("d", b"twice", b"new", True),  # it was taken in, and no copy is kept
        ("x", b"old", b"twice", True),  # nobody saved it
    ],
)
def test_a_save_that_a_lost_state_had_not_taken_in_may_have_twice_what_it_was_made_from(
    stage: str, base: bytes, new: bytes, is_fault: bool
) -> None:
    world = World(1, Plan(replicas=2, acts=0, turns=0))
    world.run()
    [room] = world.rooms
    data = f"{room.ledger.new_token()}\n".encode() * 2
    was, written = (digest_of(data if each == b"twice" else each) for each in (base, new))
    for replica in room.replicas:
        _stage(replica, stage, data, written, was)
    world._faults.happen("state_lost")
    with pytest.raises(Broken, match="twice") if is_fault else nullcontext():
        check_once({"note.md": (NodeKind.FILE, data, False)}, room.ledger)


def _stage(replica: VirtualReplica, stage: str, data: bytes, new: Digest, base: Digest = OLD) -> None:
    """A file of a step that was to write ``new``, which no power cut takes."""
    name = f"{stage}_{'5' * 24}_{base}_{new}_text=note.md_{'7' * 16}"
    filesystem, staging = replica.machine.filesystem, replica.machine._state("staging")
    assert staging is not None
    filesystem.add(staging, name, filesystem.new_inode(NodeKind.FILE, 0o600, data))
    filesystem.sync()


@pytest.mark.parametrize("own", [False, True])
def test_what_a_closed_page_had_is_not_safe_in_what_a_step_was_to_write(own: bool) -> None:
    world = World(1, Plan(replicas=2, acts=0, turns=0, typists=1))
    world.run()
    [room] = world.rooms
    [typist] = room.pages.typists
    room.ledger.saved(typist.name, b"", data := room.ledger.new_token().encode())
    (token,) = tokens(data)
    _stage(room.replicas[0], "x", data, digest_of(data if own else b""))
    room.unkept.something_went()
    assert (token in room.ledger.excused) == own


@pytest.mark.parametrize(
    ("stage", "own", "known", "is_fault"),
    [
        ("x", True, False, False),
        ("x", False, False, True),  # a save that came out of an exchange
        ("d", True, False, True),
        ("x", True, True, True),  # the store has it, so it is not gone
    ],
)
def test_what_a_power_cut_left_only_as_what_a_step_was_to_write_was_never_safe(
    stage: str, own: bool, known: bool, is_fault: bool
) -> None:
    world = World(1, Plan(replicas=2, acts=0, turns=0))
    world.run()
    [room] = world.rooms
    replica = room.replicas[0]
    text = f"{room.ledger.new_token()}\n"
    room.ledger.saved(replica.name, b"", data := text.encode())
    if known:
        replica.store.persist([AddUpdate(DocumentId("5" * 24), write_first(FirstText(1, text)))])
        replica._stored.begin(replica.store)
    _stage(replica, stage, data, digest_of(data) if own else digest_of(b""))
    world._faults._cut_power(room, replica, 1.0)
    with pytest.raises(Broken, match="nowhere") if is_fault else nullcontext():
        check_kept(room.ledger, {}, [])


@pytest.mark.parametrize("read", [True, False])
def test_a_buffer_whose_file_was_renamed_before_a_replica_had_read_it_is_one_of_what_stands_there(
    read: bool,
) -> None:
    scene, ledger = Scene(), Ledger()
    old, new = ledger.new_token(), ledger.new_token()
    ledger.saved("a", b"", before := f"begin\nend {old}\n".encode())
    ledger.saved("b", before, after := f"begin\nend {old}\n{new}\n".encode())
    rng, holds = Random(1), scene.a.machine.holds
    editor = Editor("a", scene.clock, rng, scene.trace, scene.a.disk, ledger, {}, holds, lambda path: read)
    scene.save(scene.a, "note.md", before)
    editor.perform("load")
    editor.perform("rename")
    [renamed] = scene.paths(scene.a)
    scene.a.disk.take(renamed)
    scene.save(scene.a, "note.md", after)
    editor.perform("save_stale")
    assert editor.done == 3
    with pytest.raises(Broken, match="nowhere") if read else nullcontext():
        check_nothing_lost(ledger, [scene.a])


def test_a_slow_reader_hears_that_a_hub_let_it_go_though_that_was_killed_since() -> None:
    scene = Scene()
    scene.b.link.bytes_per_s = 10.0
    scene.save(scene.a, "note.md", "much to read\n" * 10)
    scene.wait(0.5)
    assert scene.b.link._member is not None and not scene.hub.drained
    scene.hub._carry_out(Close(scene.b.link._member, 1013, "too far behind"))
    scene.hub.kill()
    scene.b.link.bytes_per_s = None
    scene.hub.start()
    scene.rest()


def test_a_broken_world_is_told_with_a_line_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(self: World) -> None:
        raise Broken("lost", f"in a world of {self.plan.acts} acts")

    monkeypatch.setattr(World, "run", lose)
    assert main(["--seeds", "1", "--first-seed", "5"]) == 1
    assert "--first-seed 5 --trace" in capsys.readouterr().out
    assert shrunk(5, Plan(acts=40), "lost") == Plan(acts=0, turns=0)


def test_a_campaign_that_a_person_ends_tells_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def run(seed: int, options: argparse.Namespace) -> Told:
        if seed == 9:
            raise KeyboardInterrupt
        return Told(acts=5, events=7)

    assert campaign(run, options_of("program", "about").parse_args(["--first-seed", "7"])) == 130
    said = capsys.readouterr().out
    assert "go on: --first-seed 9" in said
    assert "2 worlds, 10 user operations, 14 events" in said
