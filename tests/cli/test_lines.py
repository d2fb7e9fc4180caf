"""Lines go out from a thread, so that nobody who reads them, or does not, can hold a replica up."""

from __future__ import annotations

import os
import sys
import threading
from io import TextIOWrapper

import pytest

from crdtsync.cli import lines
from crdtsync.cli.lines import LineWriter
from tests.waiting import eventually


def writer() -> LineWriter:
    return LineWriter(lambda count: f"left out {count}")


def test_lines_come_out_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    out = writer()
    for number in range(100):
        out.put(f"line {number}")
    out.close()
    assert capsys.readouterr().out.splitlines() == [f"line {number}" for number in range(100)]


def test_a_reader_that_reads_nothing_holds_nothing_up_and_is_told_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "LINES_WAITING_MAX", 5)
    read: list[str] = []
    reading, writing = os.pipe()
    with os.fdopen(reading, "r") as reader, os.fdopen(writing, "w") as stuck:
        monkeypatch.setattr(sys, "stdout", stuck)
        out = writer()
        for number in range(40):
            out.put(f"{number} " + "x" * 40_000)  # the pipe takes 64 KiB, the queue five lines
        back = threading.Thread(target=lambda: read.extend(reader))
        back.start()
        eventually(lambda: out.idle, "the reader has caught up")
        out.put("at the end")
        out.close()
        stuck.close()
        back.join()
    assert read[0].startswith("0 ")
    assert any(line.startswith("left out ") for line in read)
    assert read[-1] == "at the end\n"


def test_a_reader_that_has_gone_ends_the_lines_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = TextIOWrapper(os.fdopen(writing, "wb", buffering=0), write_through=True)
    monkeypatch.setattr(sys, "stdout", gone)
    out = writer()
    for number in range(1000):
        out.put(f"line {number}")
    out.close()
    gone.detach().close()
