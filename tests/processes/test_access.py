"""Who may enter, with real processes: TLS by a private authority, invites, revocation, web pages, secrets."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.harness import Hub, Joined, Process, assert_same, run, settle, tree


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def authority(folder: Path) -> Path:
    """A private certificate authority; returns its certificate."""
    folder.mkdir()
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        folder,
        "req",
        "-x509",
        *new_key,
        "-days",
        "2",
        "-subj",
        "/CN=CA",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    return folder / "ca.pem"


def certify(folder: Path, name: str) -> None:
    """Put a certificate of the authority for this machine in the place of the one that is there."""
    key, chain, request = f"{name}.key", f"{name}.pem", f"{name}.csr"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", *new_key, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl(folder, "x509", "-req", "-in", request, *signed_by, "-out", chain)
    os.replace(folder / key, folder / "hub.key")
    os.replace(folder / chain, folder / "hub.pem")


def served_name(port: int, ca: Path) -> str:
    """The common name in the certificate that the hub shows now."""
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        certificate = wrapped.getpeercert()
        assert certificate is not None
        return str(dict(pair for part in certificate["subject"] for pair in part)["commonName"])  # type: ignore[misc]


class Guarded(Process):
    """A hub at all addresses with TLS, and one invite to the room ``notes``."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "hub"
        self.ca = authority(folder / "tls")
        certify(self.ca.parent, "first")
        self.id, self.link = self.invite("--hub", "wss://localhost:1")
        tls = ("--tls-cert", str(self.ca.parent / "hub.pem"), "--tls-key", str(self.ca.parent / "hub.key"))
        super().__init__("hub", "--host", "0.0.0.0", "--port", "0", "--data", str(self.data), "--json", *tls)
        self.port = int(self.wait_for("listening")["url"].rpartition(":")[2])
        self.url = f"wss://localhost:{self.port}"
        self.link = self.link.replace(":1/", f":{self.port}/")

    def invite(self, *options: str) -> tuple[str, str]:
        made = self.command("invite", "notes", *options)
        return str(made["id"]), str(made["link"])

    def command(self, *arguments: str) -> dict[str, object]:
        done = run(*arguments, "--data", str(self.data), "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found


class Invited(Joined):
    """A folder joined by an invite."""

    def __init__(self, hub: Guarded, link: str, folder: Path) -> None:
        Process.__init__(self, "join", link, str(folder), "--json", env={"CRDTSYNC_CA": str(hub.ca)})
        self.folder = folder


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with Guarded(tmp_path) as hub:
        yield hub


def test_an_invite_lets_in_until_it_is_revoked_and_its_token_shows_nowhere(
    guarded: Guarded, tmp_path: Path
) -> None:
    token = guarded.link.partition("#")[2]
    with Invited(guarded, guarded.link, tmp_path / "ann") as ann:
        ann.wait_for("state", state="settled")
        line = Path(f"/proc/{ann.pid}/cmdline").read_bytes().decode()
        assert "join" in line and token not in line and token[-20:] not in line
        (tmp_path / "ann" / "a.txt").write_text("hello\n")
        (tmp_path / "ann" / "b.bin").write_bytes(bytes(100_000) + os.urandom(100_000))
        ann.flush()
        certify(guarded.ca.parent, "second")
        assert served_name(guarded.port, guarded.ca) == "second"
        _, second = guarded.invite("--hub", guarded.url)
        with Invited(guarded, second, tmp_path / "bob") as bob:
            bob.wait_for("state", state="settled")
            settle(ann, bob)
            for name in ("a.txt", "b.bin"):
                assert (tmp_path / "bob" / name).read_bytes() == (tmp_path / "ann" / name).read_bytes()
            ended = guarded.command("revoke", guarded.id)
            assert ended["hub_runs"] and ended["revoked"] == [guarded.id]
            assert ann.wait() == 4
            (tmp_path / "bob" / "a.txt").write_text("after\n")
            bob.flush()
        assert (tmp_path / "ann" / "a.txt").read_text() == "hello\n"
        assert token not in ann.errors() + str(ann.events) + guarded.errors()
    again = run(
        "join", "notes", str(tmp_path / "ann"), "--hub", guarded.url, "--ca", str(guarded.ca), "--once"
    )
    assert again.returncode == 4 and "revoked" in again.stderr, "the kept token is tried, and told about"


def test_who_may_only_read_follows_and_what_is_changed_there_is_held(hub: Hub, tmp_path: Path) -> None:
    done = run("invite", "notes", "--read-only", "--name", "Reader", "--data", str(hub.data), "--json")
    link = str(json.loads(done.stdout)["link"])
    reader_folder = tmp_path / "reader"
    with (
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Process("join", link, str(reader_folder), "--json") as reader,
    ):
        ann.wait_for("state", state="settled")
        reader.wait_for("state", state="settled")

        def status() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(run("status", str(reader_folder), "--json").stdout)
            return found

        def flush() -> None:
            ann.flush()
            assert run("flush", str(reader_folder)).returncode == 0

        (tmp_path / "ann" / "a.txt").write_text("one\ntwo\n")
        (tmp_path / "ann" / "b.bin").write_bytes(b"\0 blob")
        flush()
        assert_same(tmp_path / "ann", reader_folder)
        (reader_folder / "a.txt").write_text("one\ntwo\nmine\n")
        (reader_folder / "mine.bin").write_bytes(bytes(200_000))
        (reader_folder / "b.bin").unlink()
        flush()
        assert [(each["path"], each["kind"]) for each in status()["attention"]] == [
            (name, "held") for name in ("a.txt", "b.bin", "mine.bin")
        ]
        (tmp_path / "ann" / "a.txt").write_text("zero\none\ntwo\n")
        (tmp_path / "ann" / "b.bin").write_bytes(b"\0 newer blob")
        flush()
        assert (reader_folder / "a.txt").read_text() == "zero\none\ntwo\nmine\n"
        assert (reader_folder / "b.bin").read_bytes() == b"\0 newer blob"
        assert sorted(tree(tmp_path / "ann")) == ["a.txt", "b.bin"]
        assert {peer["name"] for peer in ann.status()["peers"]} == {"Reader"}


def test_who_has_no_invite_is_denied_and_a_certificate_of_nobody_is_not_trusted(
    guarded: Guarded, tmp_path: Path
) -> None:
    def join(folder: str, *options: str) -> subprocess.CompletedProcess[str]:
        hub = ("--hub", guarded.url, "--once")
        return run("join", "notes", str(tmp_path / folder), *hub, *options)

    trusting = ("--ca", str(guarded.ca))
    denied = join("a", *trusting)
    assert denied.returncode == 4 and "asks for an invite" in denied.stderr
    guessed = join("b", *trusting, "--token", "eyJhbGciOiJub25lIn0.e30.")
    assert guessed.returncode == 4 and "not valid" in guessed.stderr
    elsewhere = run(
        "join", guarded.link.replace("/notes#", "/tasks#"), str(tmp_path / "c"), "--once", *trusting
    )
    assert elsewhere.returncode == 4 and "another room" in elsewhere.stderr
    distrusted = join("d", "--token", guarded.link.partition("#")[2])
    assert distrusted.returncode == 5 and "not to be trusted" in distrusted.stderr


def ask(hub: Hub, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    try:
        connection.putrequest("GET", path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_web_page_reaches_nothing_on_a_hub_of_this_machine(tmp_path: Path) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    page = {"Origin": "https://evil.example"}
    rebound = {"Host": "evil.example:4747"}
    with Hub(
        tmp_path / "hub", 0, "--allow-origin", "https://notes.example", "--allow-host", "notes.test"
    ) as hub:
        for path in ("/v1/room", "/v1/blobs"):
            assert ask(hub, path, upgrade) == 101
            for evil in (
                page,
                rebound,
                {"Origin": "null"},
                {**rebound, "Origin": "http://evil.example:4747"},
            ):
                assert ask(hub, path, upgrade | evil) == 403
            assert ask(hub, path, upgrade | {"Origin": "https://notes.example"}) == 101
        for path in ("/healthz", "/metrics"):
            assert ask(hub, path, {}) == 200
            assert ask(hub, path, {"Host": "notes.test"}) == 200
            assert ask(hub, path, page) == ask(hub, path, rebound) == 403
        for target in (
            "/yjs/notes/a.txt?token=SECRET",
            "/yjs/no%20room/a?token=SECRET",
            "/none?token=SECRET",
        ):
            ask(hub, target, upgrade)
            ask(hub, target, {})
        assert hub.stop() == 0
        assert "SECRET" not in hub.errors() + str(hub.events)
