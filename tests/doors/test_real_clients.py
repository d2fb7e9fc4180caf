"""The published Yjs clients against a real hub with a joined folder, in real processes."""

from __future__ import annotations

import base64
import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.node import CLIENTS, HOCUSPOCUS, Y_WEBSOCKET, Node, Peer
from tests.processes.harness import Hub, Joined, run
from tests.traces import recording
from tests.waiting import eventually

LONG = bool(os.environ.get("CRDTSYNC_LONG_DOORS"))


class Scene:
    """A hub, a folder joined by Bob, and a Node process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = Node()
        self.hub = Hub(root / "hub")
        self.bob = Joined(self.hub.url, root / "bob", name="Bob")
        self.bob.wait_for("state", state="settled")
        self._last = 0

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *ended: object) -> None:
        with self.node, self.bob, self.hub:
            pass

    def new_path(self, stem: str = "ü") -> str:
        self._last += 1
        return f"{stem} {self._last}.md"

    def open(self, client: str, path: str, **options: object) -> Peer:
        return self.node.open(client, self.hub.url, f"notes/{path}", **options)

    def write(self, path: str, text: str) -> None:
        file = self.bob.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())

    def read(self, path: str) -> str | None:
        file = self.bob.folder / path
        return file.read_bytes().decode() if file.exists() else None

    def until_file(self, path: str, text: str | None) -> None:
        eventually(lambda: self.read(path) == text, f"{path} is {text!r}, it is {self.read(path)!r}")

    def restart_hub(self) -> None:
        """kill -9, and another at the same address."""
        port = self.hub.port
        self.hub.kill()
        self.hub = Hub(self.root / "hub", port)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Scene(tmp_path_factory.mktemp("doors")) as made:
        yield made


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_and_a_folder_edit_one_file(scene: Scene, client: str) -> None:
    path = scene.new_path("docs/Zoë 🎈")
    scene.write(path, "Hällo 🎈\r\n")
    peer = scene.open(client, path)
    peer.until_text("Hällo 🎈\r\n")
    peer.insert("日本 ", at=0)
    scene.until_file(path, "日本 Hällo 🎈\r\n")
    scene.write(path, "日本 Hällo 🎈🎈\r\nfrom disk")
    peer.until_text("日本 Hällo 🎈🎈\r\nfrom disk")
    peer.do("close")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_is_made_by_typing_and_edits_made_offline_meet(scene: Scene, client: str) -> None:
    path = scene.new_path()
    peer = scene.open(client, path).until_synced()
    assert scene.read(path) is None
    peer.insert("one\ntwo\n")
    scene.until_file(path, "one\ntwo\n")
    peer.do("disconnect")
    peer.until(lambda status: not status["connected"], "offline")
    peer.insert("page ", at=0)
    scene.write(path, "one\ntwo\ndisk\n")
    scene.bob.flush()
    peer.do("connect")
    peer.until_text("page one\ntwo\ndisk\n")
    scene.until_file(path, "page one\ntwo\ndisk\n")
    peer.do("close")


@pytest.mark.parametrize("client", HOCUSPOCUS)
def test_a_document_that_is_opened_again_before_its_closing_is_said_is_open(
    scene: Scene, client: str
) -> None:
    path, beside, socket = scene.new_path(), scene.new_path(), f"late {client}"
    other = scene.open(client, beside, socket=socket).until_synced()
    first = scene.open(client, path, socket=socket).until_synced()
    first.insert("one")
    first.until_stored()
    port = scene.hub.port
    scene.hub.kill()
    first.until(lambda status: not status["connected"], "offline")
    first.insert(" offline")
    first.do("close")
    again = scene.open(client, path, socket=socket)
    scene.hub = Hub(scene.root / "hub", port)
    again.until_text("one offline")
    again.insert(" again")
    scene.until_file(path, "one offline again")
    scene.write(path, "one offline again, disk")
    again.until_text("one offline again, disk")
    again.until_stored()
    for peer in (again, other):
        peer.do("close")


@pytest.mark.parametrize("client", CLIENTS)
def test_presence_crosses_between_page_and_folder(scene: Scene, client: str) -> None:
    path = scene.new_path()
    scene.write(path, "x")
    peer = scene.open(client, path)
    peer.until_text("x")
    peer.do("present", state={"user": {"name": f"Ann with {client}"}, "cursor": None})
    assert peer.until_sees("Bob")["user"]["color"].startswith("#")
    there = {"name": f"Ann with {client}", "editing": [path]}
    eventually(lambda: there in scene.bob.status()["peers"], f"{there} among the peers")
    other = scene.open("y-websocket-3", path)
    other.until_sees(f"Ann with {client}")
    scene.write(path, "xy")
    peer.until_text("xy")
    peer.do("close")
    other.until(lambda status: len(status["people"]) == 1, "Ann has left")
    other.do("close")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_no_text_is_refused_with_the_reason(scene: Scene, client: str) -> None:
    (scene.bob.folder / "picture.png").write_bytes(b"\x89PNG\0")
    scene.bob.flush()
    for path, reason in (
        ("picture.png", "is not a text"),
        (".git/x", "never shared"),
        ("a//b", "no file"),
    ):
        peer = scene.open(client, path, socket=f"refused {client} {path}")
        told = peer.until(lambda status: status["denied"] or status["closed"], "refused")
        shown = " ".join([*told["denied"], *(each["reason"] for each in told["closed"])])
        assert reason in shown.lower(), told
        peer.do("close")


def test_a_killed_hub_loses_nothing_that_clients_have_kept(scene: Scene) -> None:
    peers = {scene.new_path(): client for client in CLIENTS}
    opened = {path: scene.open(client, path).until_synced() for path, client in peers.items()}
    for path, peer in opened.items():
        peer.insert("before\n")
        scene.until_file(path, "before\n")
    for peer in opened.values():
        peer.insert("in flight\n")
    scene.restart_hub()
    for path, peer in opened.items():
        peer.insert("after\n")
        peer.until(lambda status: status["connected"] and status["synced"], "connected again")
        scene.until_file(path, "before\nin flight\nafter\n")
        peer.until_text("before\nin flight\nafter\n")
        peer.do("close")


@pytest.mark.parametrize("client", [Y_WEBSOCKET[0], HOCUSPOCUS[0]])
def test_a_kept_document_of_a_file_that_was_made_anew_doubles_nothing(scene: Scene, client: str) -> None:
    path = scene.new_path()
    scene.write(path, "the text\n")
    peer = scene.open(client, path)
    peer.until_text("the text\n")
    peer.do("disconnect")
    state = peer.do("state")["state"]
    peer.do("close")
    (scene.bob.folder / path).unlink()
    scene.bob.flush()
    scene.write(path, "the text\n")
    scene.bob.flush()
    back = scene.open(client, path, state=state).until_synced()
    assert back.text == "the text\n"
    back.insert("and mine\n")
    copies = f"{Path(path).stem} (conflict of *"
    eventually(lambda: list(scene.bob.folder.glob(copies)), "what was typed is kept beside")
    (copy,) = scene.bob.folder.glob(copies)
    scene.until_file(copy.name, "the text\nand mine\n")
    assert scene.read(path) == "the text\n"
    back.do("close")


@pytest.mark.parametrize("client", [Y_WEBSOCKET[0], HOCUSPOCUS[0]])
def test_a_document_that_was_filled_by_itself_is_refused(scene: Scene, client: str) -> None:
    path = scene.new_path()
    scene.write(path, "the text\n")
    scene.bob.flush()
    peer = scene.open(client, path, text="the text\n")
    told = peer.until(lambda status: status["denied"] or status["closed"], "refused")
    assert "double" in " ".join([*told["denied"], *(each["reason"] for each in told["closed"])])
    assert (told["text"], scene.read(path)) == ("the text\n", "the text\n")
    peer.do("close")


def test_a_malformed_update_ends_its_author_and_no_other(scene: Scene) -> None:
    path = scene.new_path()
    good = scene.open("y-websocket-3", path).until_synced()
    bad = scene.open("y-websocket-3", path).until_synced()
    bad.do("raw", update=base64.b64encode(b"\x00\x02\x05\x01\x01\x05\x00\xff").decode())
    told = bad.until(lambda status: status["closed"], "closed")
    assert told["closed"][0]["code"] == 4400
    good.insert("x")
    scene.until_file(path, "x")
    good.do("close")
    bad.do("close")


def test_fifty_documents_share_one_socket(scene: Scene) -> None:
    stem = scene.new_path("many").removesuffix(".md")
    peers = [scene.open("hocuspocus-4", f"{stem}/{number}.md", socket="many") for number in range(50)]
    for number, peer in enumerate(peers):
        peer.until_synced()
        peer.insert(f"text {number}")
    for number, peer in enumerate(peers):
        peer.until_stored()
        scene.until_file(f"{stem}/{number}.md", f"text {number}")
    for peer in peers:
        peer.do("close")


def test_two_sessions_of_one_document_share_one_socket(scene: Scene) -> None:
    path = scene.new_path()
    one, two = (
        scene.open("hocuspocus-4", path, socket="sessions", sessionAwareness=True).until_synced()
        for _ in range(2)
    )
    one.do("present", state={"user": {"name": "One"}})
    two.until_sees("One")
    one.insert("x")
    two.until_text("x")
    one.do("stateless", payload="hello")
    two.until(lambda status: status["stateless"] == ["hello"], "the message of the application")
    one.do("close")
    two.until(lambda status: all("One" not in str(state) for state in status["people"]), "One has left")
    two.do("close")


def test_who_has_no_invite_is_denied_and_a_reader_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "hub"

    def token(*options: str) -> str:
        done = run("invite", "notes", "--hub", "ws://127.0.0.1:1", "--data", str(data), "--json", *options)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["link"]).partition("#")[2]

    invite, other_invite, read_only = token(), token(), token("--read-only")
    with Node() as node, Hub(data, 0, "--closed") as hub:
        for client in CLIENTS:

            def open_with(**shown: object) -> Peer:
                return node.open(client, hub.url, f"notes/{client}.md", **shown)  # noqa: B023

            denied = open_with()
            told = denied.until(lambda status: status["denied"] or status["closed"], "denied")
            assert "invite" in " ".join([*told["denied"], *(each["reason"] for each in told["closed"])])
            assert not told["synced"]
            denied.do("close")
            writer = open_with(params={"token": invite}, token=invite).until_synced()
            writer.insert("text")
            reader = open_with(params={"token": read_only}, token=read_only)
            reader.until_text("text")
            reader.insert("!")
            other = open_with(params={"token": other_invite}, token=other_invite)
            other.until_text("text")
            writer.insert(" more")
            other.until_text("text more")
            reader.until(lambda status: "more" in status["text"], "what others type")
            if client in HOCUSPOCUS:
                assert reader.status["unsynced"] > 0
                assert reader.status["scope"] == "readonly"


def test_a_large_document_with_a_long_history_opens_everywhere_and_goes_on(scene: Scene) -> None:
    paper = recording("automerge-paper")
    patches = [[p.position, p.deleted, p.inserted] for each in paper.transactions for p in each.patches]
    live = 20_000 if LONG else 500
    path = scene.new_path("paper")
    author = scene.open("y-websocket-3", path).until_synced()
    author.do("disconnect")
    author.do("replay", patches=patches[:-live])
    author.do("connect")
    author.until(lambda status: status["connected"] and status["synced"], "connected again")
    author.do("replay", patches=patches[-live:])
    scene.until_file(path, paper.end)
    text = paper.end
    for client in CLIENTS:
        reader = scene.open(client, path)
        reader.until_text(text)
        reader.insert(f"\nread with {client}")
        text += f"\nread with {client}"
        author.until_text(text)
        reader.do("close")
    scene.until_file(path, text)
    author.do("close")


@pytest.mark.skipif(not LONG, reason="takes 40 s: make doors")
@pytest.mark.parametrize("client", [Y_WEBSOCKET[0], HOCUSPOCUS[0]])
def test_a_client_that_does_nothing_for_long_stays_connected(scene: Scene, client: str) -> None:
    path = scene.new_path()
    peer = scene.open(client, path).until_synced()
    peer.do("present", state=None)
    quiet = scene.open("y-websocket-3", path).until_synced()
    select.poll().poll(40_000)
    for each in (peer, quiet):
        status = each.status
        assert (status["connected"], status["closed"]) == (True, [])
    quiet.until_sees("Bob")
    peer.insert("still here")
    scene.until_file(path, "still here")
    peer.do("close")
    quiet.do("close")
