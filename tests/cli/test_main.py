"""The entry point: what it imports, which exit code an error has, and how it is told."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

from crdtsync import errors
from crdtsync.adapters.login import own_name
from crdtsync.cli import main as entry
from crdtsync.cli.exit_codes import exit_code_of
from crdtsync.cli.main import COMMANDS, main
from crdtsync.core.values import limits
from crdtsync.core.wire.control import Hello, decode_control, encode_control
from tests.cli.served import fails, joined_folder, served

HEAVY = ("websockets", "pycrdt", "pydantic", "rich", "watchdog", "asyncio", "diff_match_patch", "zstandard")


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crdtsync", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(env or {})},
    )


def imported_by(*arguments: str) -> set[str]:
    """Which of the heavy packages a command imports."""
    code = (
        "import sys\n"
        "from crdtsync.cli.main import main\n"
        f"main({list(arguments)!r})\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return {name.partition(".")[0] for name in done.stderr.split()} & set(HEAVY)


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == set()


def test_neither_replica_nor_hub_starts_with_all_of_pydantic() -> None:
    code = (
        "import sys, crdtsync.cli.joined, crdtsync.runtime.hub\n"
        "assert 'pydantic_core' in sys.modules and 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], timeout=120, check=True)


def test_commands_on_a_running_replica_import_nothing_heavy(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    for command in ("status", "flush", "confirm", "restore", "conflicts", "trash"):
        assert imported_by(command, str(folder)) == set(), command


def assert_names_every_command(shown: str) -> None:
    in_a_row = re.sub(r"\s+", " ", shown)
    for name, purpose in COMMANDS.items():
        assert f"{name} {purpose}" in in_a_row


def test_the_help_names_every_command_with_its_purpose() -> None:
    assert_names_every_command(run("--help").stdout)


def test_who_says_nothing_is_shown_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert_names_every_command(capsys.readouterr().err)


def test_where_the_current_folder_is_gone_a_person_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    run_there = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m crdtsync status"
    done = subprocess.run(["sh", "-c", run_there], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "crdtsync: the current folder is gone; change to another one\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_can_be_run(name: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"crdtsync.cli.{name}").register(parser)
    assert parser.description
    assert callable(parser.get_default("run"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["--unknown"],
        ["join"],
        ["join", "room"],
        ["join", "room", ""],
        ["join", "room", "a", "--hub", "gopher://x"],
        ["share", ""],
        ["hub", "--data", ""],
        ["revoke"],
        ["status", "--unknown"],
        ["flush", "--timeout", "soon"],
        ["share", "a", "--port", "99999"],
        ["hub", "--port", "-1"],
        ["flush", "--timeout", "0"],
        ["flush", "--timeout", "nan"],
        ["flush", "--timeout", "inf"],
        ["flush", "--timeout", "1e300"],
        ["conflicts", "--resolve", "a.md"],
        ["conflicts", "--keep", "copy"],
        ["conflicts", "--resolve", "a.md", "--keep", "neither"],
    ],
    ids=" ".join,
)
def test_a_usage_error_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "crdtsync" in told.err


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"crdtsync \d+\.\d+.*\n", done.stdout)


EXIT_CODES = [
    (errors.CrdtsyncError, 1),
    (errors.InvalidName, 2),
    (errors.FolderError, 1),
    (errors.AlreadyJoined, 1),
    (errors.RootGone, 3),
    (errors.HubUnreachable, 5),
    (errors.ProtocolMismatch, 1),
    (errors.AccessDenied, 4),
    (errors.ReadOnly, 4),
    (errors.FileError, 1),
    (errors.NoSuchFile, 1),
    (errors.NameTaken, 1),
    (errors.NotText, 1),
    (errors.ContentMissing, 1),
    (errors.InvalidEdit, 1),
    (errors.Closed, 1),
    (errors.PeerError, 1),
    (errors.MalformedUpdate, 1),
    (errors.StoreError, 1),
    (errors.StoreInUse, 1),
]


@pytest.mark.parametrize(("error", "code"), EXIT_CODES)
def test_each_error_has_its_exit_code_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: type[errors.CrdtsyncError], code: int
) -> None:
    folder = joined_folder(tmp_path / "notes")
    with served(folder, {"status": fails(error("it is\n\x1b[31mso"))}):
        assert main(["status", str(folder)]) == code
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "crdtsync: it is\ufffd\ufffd[31mso\n")
        assert main(["status", str(folder), "--json"]) == code
        told = capsys.readouterr()
        expected = {"event": "error", "message": "it is\n\x1b[31mso", "code": code}
        assert [json.loads(line) for line in told.out.splitlines()] == [expected]


def test_every_error_of_ours_is_in_the_table_above() -> None:
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert {exit_code_of(kind("")) for kind in ours} == {1, 2, 3, 4, 5}
    assert ours == {kind for kind, _ in EXIT_CODES}


def interrupted(_: object) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crdtsync.cli.status.run", interrupted)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "crdtsync: interrupted\n"


def test_ctrl_c_while_a_command_is_read_ends_likewise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crdtsync.cli.status.register", interrupted)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "crdtsync: interrupted\n"


def test_a_reader_that_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    copies = [{"path": f"{number}.md", "copy_of": None, "by": "Zoë", "at": 0} for number in range(100_000)]
    with (
        served(folder, {"conflicts": lambda _: copies}),
        subprocess.Popen(
            [sys.executable, "-m", "crdtsync", "conflicts", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as command,
    ):
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline().startswith(b"SINCE")
        command.stdout.close()
        assert command.wait(120) == 1
        assert command.stderr.read() == b""


def test_a_terminal_that_cannot_show_a_name_still_gets_an_answer(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    copy = {"path": "日記\udcff.md", "copy_of": "ä.md", "by": "Zoë", "at": 0}
    with served(folder, {"conflicts": lambda _: [copy]}):
        done = run("conflicts", str(folder), env={"PYTHONIOENCODING": "ascii:strict", "TZ": "UTC"})
        assert done.returncode == 0, done.stderr
        assert "??" in done.stdout
        done = run("conflicts", str(folder), "--json", env={"PYTHONIOENCODING": "ascii:strict"})
        assert json.loads(done.stdout) == [copy]


@pytest.mark.parametrize(
    ("given", "variables", "expected"),
    [
        ([], {}, ("ws://127.0.0.1:4747", None)),
        ([], {"CRDTSYNC_HUB": "ws://h:1", "CRDTSYNC_TOKEN": "t", "CRDTSYNC_NAME": "n"}, ("ws://h:1", "t")),
        (
            ["--hub", "ws://a:2", "--token", "x", "--name", "m"],
            {"CRDTSYNC_HUB": "ws://h:1"},
            ("ws://a:2", "x"),
        ),
        ([], {"CRDTSYNC_HUB": "", "CRDTSYNC_TOKEN": ""}, ("ws://127.0.0.1:4747", None)),
    ],
)
def test_flags_come_before_the_environment_and_that_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    variables: dict[str, str],
    expected: tuple[str, str | None],
) -> None:
    from crdtsync.cli.arguments import hub_url, person
    from crdtsync.cli.secrets import given_token

    for name in ("CRDTSYNC_HUB", "CRDTSYNC_TOKEN", "CRDTSYNC_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOGNAME", "login")
    arguments = entry._parser(["join"]).parse_args(["join", "room", "dir", *given])
    assert (hub_url(arguments), given_token(arguments, os.environ)) == expected
    assert person(arguments) == ("m" if given else variables.get("CRDTSYNC_NAME") or "login")


def test_a_user_without_a_name_is_someone(monkeypatch: pytest.MonkeyPatch) -> None:
    from crdtsync.cli.arguments import person

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("CRDTSYNC_NAME", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert person(entry._parser(["join"]).parse_args(["join", "room", "dir"])) == "someone"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Ann", "Ann"),
        ("\udcff\udcfe", "\N{REPLACEMENT CHARACTER}" * 2),
        ("x" * 300, "x" * (limits.PERSON_NAME_SENT_MAX_CHARS - 1) + "…"),
    ],
    ids=["plain", "undecodable", "long"],
)
def test_a_name_that_cannot_be_sent_is_made_one_that_can(given: str, sent: str) -> None:
    assert own_name(given) == sent
    hello = Hello("notes", "replica", name=own_name(given))
    assert decode_control(encode_control(hello)) == hello
