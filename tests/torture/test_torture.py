"""The runner itself: a round of real processes is played and judged, and what is wrong is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crdtsync.testing.oracles import Broken
from tests.torture import clocks
from tests.torture.judging import judge_logs, picture_of
from tests.torture.machines import Machine
from tests.torture.people import SharedLedger
from tests.torture.scenarios import SCENARIOS, impossible
from tests.torture.tracing import injected, killed_at, may_trace
from tests.torture.world import play
from tests.waiting import eventually

traced = pytest.mark.skipif(may_trace() is not None, reason=str(may_trace()))


def test_a_round_of_kills_is_played_and_judged(tmp_path: Path) -> None:
    why = impossible("kill-replica-rename")
    if why:
        pytest.skip(why)
    told = play(SCENARIOS["kill-replica-rename"], tmp_path / "round", seed=1, busy_s=0.5)
    assert told.deeds > 0
    assert told.faults["kills"] + told.faults["in vain"] > 0


@traced
def test_a_process_is_killed_at_just_the_call_that_is_wanted(tmp_path: Path) -> None:
    script = "import os\nfor name in 'abc': os.mkdir(name)"
    note = tmp_path / "note"
    done = subprocess.run(
        [*killed_at("link", 3, note), sys.executable, "-c", script], cwd=tmp_path, check=False
    )
    assert done.returncode == -9
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "b"]
    eventually(lambda: injected(note) == 1, "strace, which goes on, has written what it did")


def test_a_file_on_its_way_is_no_part_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "tmp-3f2a").write_text("half")
    with pytest.raises(Broken, match="litter"):
        picture_of(tmp_path)


def test_a_run_that_ends_by_a_traceback_is_no_good_run(tmp_path: Path) -> None:
    machine = Machine("ann", (), tmp_path / "ann.log")
    machine.log.write_text("crdtsync: the disk is full\n")
    judge_logs([machine])
    machine.log.write_text("Traceback (most recent call last):\n")
    with pytest.raises(Broken, match="log"):
        judge_logs([machine])
    machine.log.write_text("")
    machine.ends.append(-11)
    with pytest.raises(Broken, match="ended"):
        judge_logs([machine])


def test_tokens_are_drawn_once() -> None:
    ledger = SharedLedger()
    assert len({ledger.new_token() for _ in range(1000)}) == 1000


def test_a_shifted_clock_tells_another_date_and_runs_as_before(tmp_path: Path) -> None:
    why = clocks.may_shift()
    if why:
        pytest.skip(why)
    clock = clocks.Clock(tmp_path / "clock")
    environment = {**os.environ, **clock.environment(clocks.shim(tmp_path))}
    script = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as told:
        assert told.stdin is not None and told.stdout is not None
        shifts = []
        for shift_s in (0, 86_400, -86_400):
            clock.set(shift_s)
            told.stdin.write("\n")
            told.stdin.flush()
            date_s, running_s = map(float, told.stdout.readline().split())
            assert running_s <= time.monotonic()
            shifts.append(round((date_s - time.time()) / 3600))
        told.stdin.close()
    assert shifts == [0, 24, -24]
