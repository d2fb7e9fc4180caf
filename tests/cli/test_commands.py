"""The commands on a running replica: what they ask, and what they print for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crdtsync.cli.main import main
from crdtsync.errors import CrdtsyncError, HubUnreachable
from tests.cli.served import fails, joined_folder, served

STATUS: dict[str, Any] = {
    "room": "notes",
    "hub": "ws://127.0.0.1:4747",
    "state": "syncing",
    "connected": True,
    "pending": {"ingest": 3, "send": 0, "receive": 1, "materialise": 2},
    "peers": [{"name": "Zoë", "editing": ["a.md", "b\x1b[2J.md"]}, {"name": "日本", "editing": []}],
    "attention": [
        {"path": "", "kind": "held", "message": "12 deletions are held"},
        {"path": "x.sock", "kind": "unshareable", "message": "a socket"},
    ],
    "transfers": [{"name": "film.mkv", "direction": "up", "done": 50, "total": 200}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return joined_folder(tmp_path / "notes")


def test_status_for_a_program_is_what_the_replica_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(folder, {"status": lambda _: STATUS}):
        assert main(["status", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_status_for_a_person_is_short_and_harmless(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(folder, {"status": lambda _: STATUS}):
        assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out == (
        "notes at ws://127.0.0.1:4747\n"
        "syncing (3 to read, 1 to receive, 2 to write)\n"
        "up film.mkv: 25% of 200 bytes\n"
        "\n"
        "WHO   EDITS\n"
        "Zoë   a.md, b\ufffd[2J.md\n"
        "日本\n"
        "\n"
        "NEEDS ATTENTION  WHY\n"
        "(the folder)     12 deletions are held\n"
        "x.sock           a socket\n"
    )


@pytest.mark.parametrize("state", ["starting", "settled", "offline", "halted"])
def test_each_state_is_explained_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    nothing = {"ingest": 0, "send": 0, "receive": 0, "materialise": 0}
    quiet = {**STATUS, "state": state, "pending": nothing, "peers": [], "attention": [], "transfers": []}
    with served(folder, {"status": lambda _: quiet}):
        assert main(["status", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"{state}: ")


def test_who_is_settled_is_told_that_something_needs_attention(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"ingest": 0, "send": 0, "receive": 0, "materialise": 0}
    held = {**STATUS, "state": "settled", "pending": nothing}
    with served(folder, {"status": lambda _: held, "flush": lambda _: {"attention": 2}}):
        assert main(["status", str(folder)]) == 0
        assert main(["flush", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "settled: folder and hub hold the same, but for what needs attention\n" in out
    assert out.endswith("folder and hub hold the same, but for what needs attention: crdtsync status\n")


def test_status_asks_about_the_current_folder_by_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    with served(folder, {"status": lambda _: STATUS}) as asked:
        assert main(["status"]) == 0
    assert asked == [("status", {})]


def test_flush_hands_its_timeout_on_and_ends_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(folder, {"flush": lambda _: {"attention": 0}}) as asked:
        assert main(["flush", str(folder), "--timeout", "2.5"]) == 0
        assert main(["flush", str(folder), "--json"]) == 0
    assert asked == [("flush", {"timeout_s": 2.5}), ("flush", {"timeout_s": None})]
    assert capsys.readouterr().out == 'folder and hub hold the same\n{"event": "flushed", "attention": 0}\n'


@pytest.mark.parametrize(("error", "code"), [(HubUnreachable("away"), 5), (CrdtsyncError("not settled"), 1)])
def test_flush_ends_with_5_without_the_hub_and_with_1_at_its_timeout(
    folder: Path, error: CrdtsyncError, code: int
) -> None:
    with served(folder, {"flush": fails(error)}):
        assert main(["flush", str(folder), "--timeout", "1"]) == code


@pytest.mark.parametrize(("command", "event"), [("confirm", "confirmed"), ("restore", "restored")])
@pytest.mark.parametrize("kind", ["held", "refused"])
def test_confirm_and_restore_decide_on_held_deletions(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, event: str, kind: str
) -> None:
    status = {**STATUS, "attention": [{"path": "", "kind": kind, "message": "told last"}]}
    with served(folder, {"status": lambda _: status, command: lambda _: {}}) as asked:
        assert main([command, str(folder)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1
        assert main([command, str(folder), "--json"]) == 0
    assert asked == [("status", {}), (command, {})] * 2
    assert json.loads(capsys.readouterr().out) == {"event": event, "held": True}


@pytest.mark.parametrize("command", ["confirm", "restore"])
def test_nobody_decides_on_deletions_that_are_not_held_yet(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    quiet = {**STATUS, "attention": STATUS["attention"][1:]}
    with served(folder, {"status": lambda _: quiet, command: lambda _: {}}) as asked:
        assert main([command, str(folder)]) == 0
        assert capsys.readouterr().out == "no deletions are held\n"
        assert main([command, str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["held"] is False
    assert {method for method, _ in asked} == {"status"}


COPIES: list[dict[str, Any]] = [
    {"path": "a (conflict of Zoë, 3f9a2c1d).md", "copy_of": "a.md", "by": "Zoë", "at": 1743336005123},
    {"path": "sub/b (conflict of Bob, 00000000).md", "copy_of": None, "by": "Bob\n", "at": 1 << 60},
]


@pytest.mark.usefixtures("utc")
def test_conflicts_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(folder, {"conflicts": lambda _: COPIES}):
        assert main(["conflicts", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == COPIES
        assert main(["conflicts", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["SINCE", "2025-03-30", "Bob\ufffd", "2"]
    assert lines[1].endswith("a (conflict of Zoë, 3f9a2c1d).md      a.md")
    assert lines[2].endswith("sub/b (conflict of Bob, 00000000).md  (gone)")


def test_no_conflicts_are_told_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(folder, {"conflicts": lambda _: []}):
        assert main(["conflicts", str(folder)]) == 0
        assert capsys.readouterr().out == "no conflict copies\n"
        assert main(["conflicts", str(folder), "--json"]) == 0
        assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize("keep", ["copy", "original"])
def test_a_conflict_is_resolved_by_its_path_as_listed_or_as_seen_from_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: str
) -> None:
    path: str = COPIES[1]["path"]
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    answers = {"conflicts": lambda _: COPIES, "resolve": lambda _: {}}
    with served(folder, answers) as asked:
        for given in (path, "b (conflict of Bob, 00000000).md", str(folder / path)):
            assert main(["conflicts", "--resolve", given, "--keep", keep]) == 0
    assert [params for method, params in asked if method == "resolve"] == [{"path": path, "keep": keep}] * 3
    assert f"kept the {keep} of" in capsys.readouterr().out


def test_what_is_no_conflict_copy_is_left_to_the_replica_to_refuse(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = fails(CrdtsyncError("a.md is no conflict copy"))
    with served(folder, {"conflicts": lambda _: COPIES, "resolve": refused}) as asked:
        assert main(["conflicts", str(folder), "--resolve", "a.md", "--keep", "copy", "--json"]) == 1
    assert asked[-1] == ("resolve", {"path": "a.md", "keep": "copy"})
    assert json.loads(capsys.readouterr().out)["code"] == 1


@pytest.mark.parametrize("command", ["status", "flush", "conflicts", "confirm", "restore"])
def test_every_command_tells_when_no_replica_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, str(folder)]) == 1
    assert f"no replica runs for {folder}; start one with: crdtsync join" in capsys.readouterr().err
