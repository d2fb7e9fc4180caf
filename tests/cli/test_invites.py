"""``invite``, ``invites``, ``revoke``, the line that joins, and where tokens come from and go."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.adapters import saved_token
from crdtsync.adapters.access_store import AccessStore
from crdtsync.cli import secrets
from crdtsync.cli.exit_codes import UsageError
from crdtsync.cli.join import what_is_wanted
from crdtsync.cli.main import main
from crdtsync.cli.share import room_of, standing_invite, whence
from crdtsync.core.hub.invites import read_token
from crdtsync.core.values.ids import check_room_name
from crdtsync.core.values.links import Link, is_link, read_link
from crdtsync.errors import CrdtsyncError, InvalidName

LINK = "crdtsync+wss://hub.example:4747/notes#eyJ.e30.c2ln"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "--json"))


# -- the commands -------------------------------------------------------------------------------------


def test_an_invite_is_one_line_that_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(tmp_path))
    line = printed(capsys, "invite", "notes", "--hub", "wss://hub.example", *data)
    assert line.startswith("crdtsync join crdtsync+wss://hub.example/notes#") and line.count("\n") == 1
    link = read_link(line.removeprefix("crdtsync join ").strip())
    credentials = AccessStore(tmp_path).load()
    assert credentials.key is not None and link.token is not None
    assert read_token(link.token, credentials.key) in credentials.invites


def test_invites_are_listed_without_their_tokens_and_revoked_by_the_begin_of_their_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", str(tmp_path))
    extra = ("--read-only", "--expires", "7d", "--name", "Bob/../Eve")
    made = json_of(capsys, "invite", "notes", "--hub", "ws://h", *extra, *data)
    printed(capsys, "invite", "tasks", "--hub", "ws://h", *data)
    (first,) = json_of(capsys, "invites", "notes", *data)
    assert first["id"] == made["id"] and first["state"] == "valid"
    assert first["read_only"] and first["expires_at"] - first["made_at"] == 7 * 86_400
    assert "/" not in first["name"]
    listed = printed(capsys, "invites", *data)
    assert "notes" in listed and "tasks" in listed and "eyJ" not in listed
    ended = json_of(capsys, "revoke", made["id"][:6], *data)
    assert ended == {"revoked": [made["id"]], "connections_ended": 0, "hub_runs": False}
    assert [each["state"] for each in json_of(capsys, "invites", *data)] == ["revoked", "valid"]
    assert json_of(capsys, "revoke", "--all", *data)["revoked"] != []
    assert json_of(capsys, "revoke", "--all", *data)["revoked"] == []


def fails(code: int, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == code
    return capsys.readouterr().err


def test_mistakes_with_invites_are_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(tmp_path))
    assert "Say it" in fails(1, capsys, "invite", "notes", *data)
    assert "30m" in fails(2, capsys, "invite", "notes", "--expires", "soon", *data)
    assert "cannot be used" in fails(2, capsys, "invite", "a b", "--hub", "ws://h", *data)
    assert "not the address" in fails(2, capsys, "invite", "notes", "--hub", "ftp://h", *data)
    assert not (tmp_path / "access").exists()
    assert "No invite" in fails(1, capsys, "revoke", "beef", *data)
    assert "--room" in fails(2, capsys, "revoke", *data)
    assert "no such invite" in fails(1, capsys, "revoke", "--all", *data)
    assert "belong together" in fails(2, capsys, "hub", "--tls-cert", "x", *data)
    assert "as the browser does" in fails(2, capsys, "hub", "--allow-origin", "notes.example", *data)


def test_a_shared_folder_has_one_invite_until_that_is_revoked(tmp_path: Path) -> None:
    first = standing_invite(tmp_path, "notes")
    assert standing_invite(tmp_path, "notes") == first
    assert standing_invite(tmp_path, "tasks") != first
    store = AccessStore(tmp_path)
    store.revoke(list(store.load().invites), 1)
    assert standing_invite(tmp_path, "notes") != first


def test_who_shares_on_loopback_is_told_that_others_cannot_come() -> None:
    assert "--host" in whence("ws://127.0.0.1:4747")
    assert whence("wss://hub.example:4747") == ""


def test_a_folder_whose_name_names_no_room_is_shared_under_another() -> None:
    assert room_of(Path("/home/ann/notes"), None) == "notes"
    assert room_of(Path("/home/ann/My Notes"), "notes") == "notes"
    for folder in ("/home/ann/My Notes", "/"):
        with pytest.raises(InvalidName, match="--room NAME"):
            room_of(Path(folder), None)


# -- links --------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=20))
def test_any_room_comes_back_from_its_link(room: str) -> None:
    try:
        check_room_name(room)
    except InvalidName:
        return
    link = Link("wss://h.example:1/below", room, "a.b.c")
    assert is_link(str(link)) and read_link(str(link)) == link
    assert all(char.isalnum() or char in "+:/.%-_~#" for char in str(link)), (
        "no shell has to be told to quote"
    )


@pytest.mark.parametrize(
    "text",
    [
        "crdtsync+wss://h",
        "crdtsync+wss:///room#t",
        "crdtsync+wss://h/#t",
        "crdtsync+wss://h/a?b#secret",
        "x#secret",
    ],
)
def test_what_is_no_link_is_told_without_its_token(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        read_link(text)
    assert "secret" not in str(caught.value)


def test_a_link_does_not_show_its_token_by_accident() -> None:
    assert "c2ln" not in repr(read_link(LINK))


# -- tokens on their way ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kept", "token"),
    [
        (["join", LINK, "dir"], ["join", LINK.partition("#")[0], "dir"], "eyJ.e30.c2ln"),
        (["join", "r", "d", "--token", "t", "--once"], ["join", "r", "d", "--once"], "t"),
        (["join", "--token=t", "r", "d"], ["join", "r", "d"], "t"),
        (["join", "room#1", "dir"], ["join", "room#1", "dir"], None),
        (["join", LINK.partition("#")[0], "d"], ["join", LINK.partition("#")[0], "d"], None),
    ],
)
def test_a_command_line_is_freed_of_its_token(line: list[str], kept: list[str], token: str | None) -> None:
    assert secrets.without_token(line) == (kept, token)


def wanted(*given: str) -> argparse.Namespace:
    from crdtsync.cli import main as entry

    return entry._parser(["join"]).parse_args(["join", *given])


def test_an_invite_says_room_and_hub_and_a_folder_of_the_rooms_name_takes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRDTSYNC_HUB", "ws://other")
    monkeypatch.setenv("CRDTSYNC_TOKEN", "environment")
    monkeypatch.chdir(tmp_path)
    found = what_is_wanted(wanted(LINK))
    assert (found.room, found.hub, str(found.directory)) == ("notes", "wss://hub.example:4747", "notes")
    assert found.token == "eyJ.e30.c2ln"
    assert what_is_wanted(wanted(LINK.partition("#")[0], "dir")).token == "environment"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"crdtsync join {LINK}\n"))
    assert what_is_wanted(wanted("-", "dir")).token == "eyJ.e30.c2ln"
    with pytest.raises(UsageError, match="leave --hub out"):
        what_is_wanted(wanted(LINK, "--hub", "ws://x"))
    with pytest.raises(UsageError, match="which folder"):
        what_is_wanted(wanted("notes"))


def test_a_token_file_holds_a_token_or_an_invite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    for text in ("eyJ.e30.c2ln\n", LINK, f"crdtsync join {LINK}\n"):
        path.write_text(text)
        assert secrets.read_token_file(path) == "eyJ.e30.c2ln"
    assert capsys.readouterr().err == ""
    path.chmod(0o644)
    secrets.read_token_file(path)
    assert "chmod 600" in capsys.readouterr().err
    for wrong in ("", "two words", "\x1b[2J", "é"):
        path.write_text(wrong)
        with pytest.raises(CrdtsyncError, match="one token"):
            secrets.read_token_file(path)
    path.write_bytes(b"\xff")
    with pytest.raises(CrdtsyncError, match="no text"):
        secrets.read_token_file(path)
    with pytest.raises(CrdtsyncError, match="cannot be read"):
        secrets.read_token_file(tmp_path / "none")


def test_a_kept_token_is_for_its_hub_and_for_its_user_only(tmp_path: Path) -> None:
    state = tmp_path / ".crdtsync"
    state.mkdir()
    saved_token.save(state, "wss://a", "secret")
    saved_token.save(state, "wss://a", "secret 2")
    assert (state / "token").stat().st_mode & 0o777 == 0o600
    assert saved_token.load(tmp_path, "wss://a") == "secret 2"
    assert saved_token.load(tmp_path, "wss://b") is None
    assert saved_token.load(tmp_path, "ws://a") is None
    (state / "token").chmod(0o644)
    assert saved_token.load(tmp_path, "wss://a") is None
    for damaged in (b"", b"[]", b"{}", b'{"hub": "wss://a", "token": 1}', b"[" * 9999):
        (state / "token").write_bytes(damaged)
        (state / "token").chmod(0o600)
        assert saved_token.load(tmp_path, "wss://a") is None
    (state / "token").unlink()
    (state / "token").symlink_to("/etc/hostname")
    assert saved_token.load(tmp_path, "wss://a") is None
