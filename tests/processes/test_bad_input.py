"""Bad input gets a clear error and loses nothing: wrong commands, broken state, hostile names, full disks."""

from __future__ import annotations

import asyncio
import http.server
import os
import random
import shutil
import socket
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.control import Refused, Welcome, encode_control
from tests.hub.client import Client
from tests.hub.material import Author
from tests.processes.harness import Hub, Joined, assert_same, run, settle, tree
from tests.processes.test_merge_table import Pair, lines, share
from tests.waiting import eventually


def refused(code: int, *arguments: str, naming: str) -> str:
    """The command ends with the code and one message on stderr that names what matters; returns it."""
    done = run(*arguments)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    assert naming in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def attention(replica: Joined) -> dict[str, str]:
    return {item["path"]: item["kind"] for item in replica.status()["attention"]}


def wait_until_connected(replica: Joined) -> None:
    replica.wait_for("joining")
    eventually(lambda: replica.status()["connected"], "it has found the hub")


def still_syncs(ann: Joined, bob: Joined, name: str = "afterwards.txt") -> None:
    """Both are alive and share what comes next."""
    (ann.folder / name).write_text("still here\n")
    eventually(lambda: (bob.folder / name).exists(), "what comes next is shared")
    settle(ann, bob)
    assert (bob.folder / name).read_text() == "still here\n"


# -- folders and names of rooms -------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["", "a/b", "..", "a b", "-x", "x" * 129, "a\nb"])
def test_a_room_name_that_cannot_be_is_refused(room: str, tmp_path: Path) -> None:
    done = run("join", "--", room, str(tmp_path / "folder"))
    assert done.returncode == 2
    assert "room" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "folder").exists()


def test_folders_that_cannot_be_joined_are_refused_and_left_as_they_were(hub: Hub, tmp_path: Path) -> None:
    join = ("--hub", hub.url, "--once")
    file = tmp_path / "file"
    file.write_text("a file\n")
    refused(1, "join", "notes", str(file), *join, naming=str(file))
    refused(1, "join", "notes", str(file / "below"), *join, naming=str(file))
    assert file.read_text() == "a file\n"
    outer, inner = tmp_path / "outer", tmp_path / "outer/deep/inner"
    inner.mkdir(parents=True)
    (inner / "x.txt").write_text("x\n")
    with Joined(hub.url, inner, name="Ann") as ann:
        ann.wait_for("state", state="settled")
        ann.flush()
        refused(1, "join", "other", str(inner), *join, naming="notes")
        refused(1, "join", "notes", str(inner), *join, naming=str(ann.pid))
        refused(1, "join", "notes", str(inner / "sub"), *join, naming=str(inner))
        refused(1, "join", "notes", str(outer), *join, naming="deep/inner")
        assert ann.stop() == 0
    refused(1, "join", "other", str(inner), *join, naming="notes")
    refused(1, "join", "notes", str(inner / "sub"), *join, naming=str(inner))
    refused(1, "join", "notes", str(outer), *join, naming="deep/inner")
    assert tree(inner) == {"x.txt": b"x\n"} | ({"sub": None} if (inner / "sub").exists() else {})
    missing = tmp_path / "not/there/yet"
    for folder in (inner, missing):
        done = run("join", "notes", str(folder), *join)
        assert done.returncode == 0, f"it joins again, whatever was refused in between: {done.stderr}"
    assert (missing / "x.txt").read_text() == "x\n"


# -- hubs that are none ---------------------------------------------------------------------------------


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_hub_that_cannot_be_reached_is_waited_for_and_told(tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine\n")
    refused(5, "join", "notes", str(folder), "--hub", url, "--once", naming=url)
    with Joined(url, folder, name="Ann") as ann:
        assert url in ann.wait_for("offline")["message"]
        assert ann.running
        assert run("flush", str(folder), "--timeout", "5").returncode == 5
        assert ann.stop() == 0
    assert tree(folder) == {"mine.txt": b"mine\n"}
    refused(2, "join", "notes", str(folder), "--hub", "ftp://x", "--once", naming="ftp://x")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>It works!</h1>")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Mail(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 mail.example.org ready\r\n")


@contextmanager
def listening(server: socketserver.TCPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fake_hub(answer: str) -> Iterator[str]:
    """Answers every greeting with one control message."""

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            connection.recv()
            connection.send(answer)
            connection.recv()

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_what_is_no_hub_or_speaks_another_version_is_told_and_ends_the_join(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine\n")

    def told(url: str, naming: str) -> None:
        for once in ([], ["--once"]):
            refused(1, "join", "notes", str(folder), "--hub", url, *once, naming=naming)
        assert tree(folder) == {"mine.txt": b"mine\n"}

    with listening(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)) as url:
        told(url, "not a crdtsync hub")
    with listening(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)) as url:
        told(url, "not a crdtsync hub")
    with fake_hub(encode_control(Refused(code="version", message="this hub speaks protocol 7"))) as url:
        told(url, "protocol 7")
    welcome = Welcome(version=99, member=1, epoch="e", sequence=0, resume=False)
    with fake_hub(encode_control(welcome)) as url:
        told(url, "protocol 99")


def test_a_hub_without_port_or_data_of_its_own_is_refused(hub: Hub, tmp_path: Path) -> None:
    refused(1, "hub", "--port", str(hub.port), "--data", str(tmp_path / "other"), naming=str(hub.port))
    refused(1, "hub", "--port", "0", "--data", str(hub.data), naming=str(hub.pid))
    (tmp_path / "file").write_text("a file\n")
    refused(1, "hub", "--port", "0", "--data", str(tmp_path / "file"), naming=str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "a file\n"


# -- broken state ---------------------------------------------------------------------------------------


def garbage(database: Path, how: str) -> None:
    """Damage a database as a disk does: all of it, its middle, or its end."""
    data = database.read_bytes()
    rng = random.Random(how)
    match how:
        case "header":
            database.write_bytes(rng.randbytes(4096) + data[4096:])
        case "middle":
            database.write_bytes(data[:4096] + rng.randbytes(len(data) - 4096))
        case "cut":
            database.write_bytes(data[: len(data) // 2 + 100])
    for log in (database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")):
        log.unlink(missing_ok=True)


SHARED: dict[str, str | bytes] = {"a.txt": lines(), "b/c.txt": "c\n", "d.bin": b"\0" + bytes(300_000)}


@pytest.mark.parametrize("how", ["header", "middle", "cut"])
def test_a_damaged_hub_is_kept_aside_and_seeded_again(how: str, hub: Hub, pair: Pair, tmp_path: Path) -> None:
    ann, bob = pair
    share(pair, SHARED)
    assert hub.stop() == 0
    garbage(hub.data / "hub.db", how)
    damaged = (hub.data / "hub.db").read_bytes()
    (ann.folder / "a.txt").write_text(lines((3, "Ann, meanwhile\n")))
    with Hub(hub.data, hub.port) as again:
        for replica in pair:
            wait_until_connected(replica)
        settle(ann, bob)
        assert tree(ann.folder) == tree(bob.folder)
        assert (bob.folder / "a.txt").read_text() == lines((3, "Ann, meanwhile\n"))
        assert len(tree(bob.folder)) == 4
        eventually(lambda: [e for e in again.read() if e["event"] == "notice"], "the hub tells")
        asides = [path for path in hub.data.rglob("*") if path.is_file() and path.name != "hub.db"]
        assert damaged in [path.read_bytes() for path in asides], asides
        with Joined(again.url, tmp_path / "cid", name="Cid") as cid:
            cid.wait_for("state", state="settled")
            cid.flush()
            assert_same(cid.folder, ann.folder)


@pytest.mark.parametrize("how", ["header", "middle", "cut"])
def test_a_damaged_replica_is_kept_aside_and_joins_anew(how: str, hub: Hub, pair: Pair) -> None:
    ann, bob = pair
    share(pair, SHARED)
    assert ann.stop() == 0
    database = ann.folder / ".crdtsync/state.db"
    garbage(database, how)
    damaged = database.read_bytes()
    (bob.folder / "b/c.txt").write_text("c, edited by Bob\n")
    (ann.folder / "only.txt").write_text("only Ann\n")
    bob.flush()
    with Joined(hub.url, ann.folder, name="Ann") as again:
        again.wait_for("state", state="settled")
        settle(again, bob)
        assert_same(ann.folder, bob.folder)
        found = tree(bob.folder)
        (copy,) = [path for path in found if "(conflict of Ann" in path]
        assert found.pop(copy) == b"c\n", "nobody can tell any more that she had not edited it"
        assert found == {
            "a.txt": lines().encode(),
            "b": None,
            "b/c.txt": b"c, edited by Bob\n",
            "d.bin": b"\0" + bytes(300_000),
            "only.txt": b"only Ann\n",
        }
        assert [e for e in again.read() if e["event"] == "told" and "kept" in e["message"]]
        asides = [path for path in database.parent.rglob("*") if path.is_file() and path != database]
        assert damaged in [path.read_bytes() for path in asides]
        still_syncs(again, bob)


# -- disks ----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "crdtsync-test", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(folder: Path) -> Path:
    """Take all space that is left; removing the file gives it back."""
    filler = folder / "filler~"
    with open(filler, "wb", buffering=0) as file:
        for size_bytes in (65536, 4096, 512):
            try:
                while True:
                    file.write(bytes(size_bytes))
            except OSError:
                continue
    return filler


def test_a_full_disk_is_told_and_waited_for(hub: Hub, tmp_path: Path, small_disk: Path) -> None:
    folder = small_disk / "bob"
    with (
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Joined(hub.url, folder, name="Bob") as bob,
    ):
        for replica in (ann, bob):
            replica.wait_for("state", state="settled")
        share((ann, bob), {"a.txt": lines(), "b.bin": b"\0old", "c.txt": "c\n"})
        filler = fill(small_disk)
        (ann.folder / "a.txt").write_text(lines((1, "Ann " * 5000 + "\n")))
        (ann.folder / "b.bin").write_bytes(b"\0" + random.Random(1).randbytes(500_000))
        for number in range(20):
            (ann.folder / f"new {number}.txt").write_text(f"{number}\n" * 2000)
        (folder / "c.txt").unlink()
        bob.wait_for("failed")
        ann.flush()
        assert (folder / "a.txt").read_text() == lines()
        assert (folder / "b.bin").read_bytes() == b"\0old"
        filler.unlink()
        eventually(lambda: tree(ann.folder) == tree(folder), "all of it arrives once there is room")
        settle(ann, bob)
        assert len(tree(folder)) == 22
        assert (folder / "a.txt").read_text() == lines((1, "Ann " * 5000 + "\n"))
        assert not (ann.folder / "c.txt").exists()
        assert attention(bob) == {}
        assert ann.command("conflicts") == bob.command("conflicts") == []


@pytest.fixture
def someone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of a person whom permissions bind: joins of theirs run as ``nobody`` if we are root."""
    place = Path(tempfile.mkdtemp(prefix="crdtsync-someone-"))
    if os.geteuid() == 0:
        wrapper = place / "python"
        wrapper.write_text(
            f'#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups {sys.executable} "$@"\n'
        )
        wrapper.chmod(0o755)
        place.chmod(0o755)
        (place / "home").mkdir()
        os.chown(place / "home", 65534, 65534)
        if subprocess.run([str(wrapper), "-c", "import crdtsync"], capture_output=True).returncode:
            shutil.rmtree(place)
            pytest.skip("crdtsync cannot be run as another user here")
        monkeypatch.setattr(sys, "executable", str(wrapper))
    else:
        (place / "home").mkdir()
    try:
        yield place / "home"
    finally:
        for path in [place, *place.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(place)


def test_what_cannot_be_read_or_written_is_told_and_never_a_deletion(hub: Hub, someone: Path) -> None:
    with (
        Joined(hub.url, someone / "ann", name="Ann") as ann,
        Joined(hub.url, someone / "bob", name="Bob") as bob,
    ):
        here, there = ann.folder, bob.folder
        ann.wait_for("state", state="settled")
        bob.wait_for("state", state="settled")
        content: dict[str, str | bytes] = {
            "secret.txt": "secret\n",
            "secret.bin": b"\0secret",
            "closed/a.txt": "a\n",
            "closed/deep/b.txt": "b\n",
            "fixed/c.txt": lines(),
            "fixed/d.txt": "d\n",
            "readonly.txt": lines(),
            "free.txt": lines(),
        }
        share((ann, bob), content)
        unread = ("secret.txt", "secret.bin", "closed/a.txt", "closed/deep/b.txt")
        edited = lines((4, "Ann\n"))
        for name in ("secret.txt", "secret.bin", "closed"):
            (there / name).chmod(0)
        (there / "fixed").chmod(0o555)
        (there / "readonly.txt").chmod(0o444)
        eventually(lambda: {"secret.txt", "secret.bin", "closed"} <= set(attention(bob)), "it is told")
        (here / "fixed/d.txt").unlink()
        (here / "fixed/e.txt").write_text("e\n")
        (here / "closed/new.txt").write_text("new\n")
        for name in ("fixed/c.txt", "readonly.txt", "free.txt", "closed/deep/b.txt"):
            (here / name).write_text(edited)
        eventually(lambda: (there / "free.txt").read_text() == edited, "others go on")
        eventually(lambda: (there / "readonly.txt").read_text() == edited, "a file is replaced, not written")
        eventually(lambda: "fixed/c.txt" in attention(bob), "the folder that cannot be written is told")
        ann.flush()
        assert (there / "fixed/c.txt").read_text() == lines()
        assert (there / "fixed/d.txt").read_text() == "d\n"
        assert [name for name in unread if not (here / name).exists()] == [], "unreadable is not deleted"
        assert bob.stop() == 0
        with Joined(hub.url, there, name="Bob") as again:
            again.wait_for("joining")
            eventually(lambda: "closed" in attention(again), "told after a restart as well")
            ann.flush()
            assert [name for name in unread if not (here / name).exists()] == [], "unreadable is not deleted"
            for name in ("secret.txt", "secret.bin"):
                (there / name).chmod(0o644)
            for name in ("closed", "fixed"):
                (there / name).chmod(0o755)
            eventually(lambda: tree(here) == tree(there), "all is well again")
            settle(ann, again)
            assert attention(again) == {}
            assert again.command("conflicts") == ann.command("conflicts") == []
            assert (there / "closed/deep/b.txt").read_text() == edited


# -- names and things -----------------------------------------------------------------------------------


def test_names_that_hardly_are_ones(hub: Hub, pair: Pair) -> None:
    here, there = pair[0].folder, pair[1].folder
    (here / os.fsdecode(b"\xff.txt")).write_text("not UTF-8\n")
    (here / os.fsdecode(b"folder \xff")).mkdir()
    (here / os.fsdecode(b"folder \xff") / "in.txt").write_text("in it\n")
    odd = [
        "new\nline.txt",
        "escape \x1b[31m.txt",
        " blank ",
        "-rf",
        "a'b\"c.txt",
        "ünï\u0308.txt",
        "🎉.txt",
        "\\",
    ]
    for name in odd:
        (here / name).write_text(f"{name}\n")
    deep = here
    for _ in range(140):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "too deep.txt").write_text("too deep\n")
    settle(*pair)
    assert set(tree(there)) >= set(odd)
    for name in odd:
        assert (there / name).read_text() == f"{name}\n"
    told = attention(pair[0])
    assert told[os.fsdecode(b"\xff.txt")] == "unshared"
    assert any(kind == "unshared" and path.startswith("d/d/d") for path, kind in told.items())
    assert not [name for name in tree(there) if "\udcff" in name or "too deep" in name]
    assert (deep / "too deep.txt").exists()
    assert run("status", str(here)).returncode == 0
    still_syncs(*pair)


def test_the_conflict_copy_of_a_name_of_255_bytes_fits(hub: Hub, pair: Pair) -> None:
    ann, bob = pair
    names = ["x" * 251 + ".txt", "ü" * 125 + ".txt", "y" * 255, "." + "z" * 254, "e." + "e" * 253]
    hub_port = hub.port
    assert hub.stop() == 0
    for replica in pair:
        replica.wait_for("offline")
        for name in names:
            (replica.folder / name).write_text(f"{replica.folder.name}\n")
    with Hub(hub.data, hub_port):
        for replica in pair:
            wait_until_connected(replica)
        settle(ann, bob)
        assert_same(ann.folder, bob.folder)
        found = tree(ann.folder)
        assert len(found) == 2 * len(names)
        assert sorted(found.values(), key=str) == sorted([b"ann\n", b"bob\n"] * len(names), key=str)
        assert {conflict["copy_of"] for conflict in ann.command("conflicts")} == set(names)


def test_pipes_sockets_devices_and_links_that_lead_out_stay_where_they_are(
    pair: Pair, tmp_path: Path
) -> None:
    ann, bob = pair
    here, there = share(pair, {"a.txt": "a\n", "sub/b.txt": "b\n"})
    os.mkfifo(here / "pipe")
    os.mkfifo(here / "sub/pipe")
    listener = socket.socket(socket.AF_UNIX)
    here_fd = os.open(here, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here_fd}/socket")
    links = {
        "absolute": "/etc/passwd",
        "escaping": "../../outside",
        "sub/escaping": "../../outside",
        "repository": ".git/config",
        "itself": str(here / "a.txt"),
    }
    for name, target in links.items():
        (here / name).symlink_to(target)
    (here / "inside").symlink_to("sub/b.txt")
    (here / "dangling").symlink_to("nowhere")
    special = {"pipe", "sub/pipe", "socket", *links}
    if os.geteuid() == 0:
        os.mknod(here / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        special.add("null")
    try:
        eventually(lambda: set(attention(ann)) == special, f"each is told: {special}")
        settle(ann, bob)
        assert set(tree(there)) == {"a.txt", "sub", "sub/b.txt", "inside", "dangling"}
        assert os.readlink(there / "inside") == "sub/b.txt"
        # the others' file of that name waits, and what stands here is not replaced
        (there / "pipe").write_text("a file of Bob's\n")
        (there / "absolute").write_text("another\n")
        (there / "a.txt").write_text("edited\n")
        eventually(lambda: (here / "a.txt").read_text() == "edited\n", "others go on")
        bob.flush()
        assert stat.S_ISFIFO((here / "pipe").lstat().st_mode)
        assert os.readlink(here / "absolute") == "/etc/passwd"
        (here / "pipe").unlink()
        (here / "absolute").unlink()
        eventually(lambda: (here / "pipe").is_file() and (here / "absolute").is_file(), "then they arrive")
        assert (here / "pipe").read_text() == "a file of Bob's\n"
        eventually(
            lambda: set(attention(ann)) == special - {"pipe", "absolute"}, "these two are told no more"
        )
    finally:
        listener.close()
        os.close(here_fd)


# -- hostile rooms --------------------------------------------------------------------------------------


class Forger:
    """Writes a room's tree by hand, with whatever cells."""

    def __init__(self) -> None:
        self._doc: Doc[Any] = Doc(client_id=666)
        names = ("path", "kind", "exec", "gone", "origin", "versions")
        self.columns: dict[str, Map[Any]] = {name: self._doc.get(name, type=Map) for name in names}
        self.texts: list[tuple[DocumentId, bytes]] = []
        self._count = 0

    def entry(self, path: object, kind: object = "text", text: str = "evil\n") -> str:
        self._count += 1
        name = f"{0xBAD0000 + self._count:024x}"
        self.columns["path"][name] = path
        if kind is not None:
            self.columns["kind"][name] = kind
        if kind == "text":
            self.texts.append((DocumentId(name), Author(1000 + self._count).type(text)))
        return name

    def version(self, entry: str, digest: str, value: object) -> None:
        self.columns["versions"][f"{entry}:{digest}"] = value

    @property
    def updates(self) -> list[tuple[DocumentId, bytes]]:
        return [*self.texts, (TREE, self._doc.get_update())]


def push(url: str, *updates: tuple[DocumentId, bytes]) -> None:
    async def send() -> None:
        async with Client(url) as client:
            await client.join("notes", name="Mallory\x1b[2J")
            await client.store(*updates)

    asyncio.run(send())


EVIL_PATHS: list[object] = [
    "../evil",
    "../../../../../../tmp/evil",
    "/tmp/crdtsync-evil",
    "a/../../evil",
    "a/./evil",
    "a//evil",
    "",
    ".",
    "..",
    "nul\0evil",
    ".git/hooks/post-checkout",
    ".GIT/config",
    "sub/.git/config",
    ".crdtsync/state.db",
    ".Crdtsync/staging/evil",
    "sub/.crdtsync/state.db",
    "evil~",
    "x" * 300,
    "/".join(["d"] * 200) + "/evil",
    "y/" * 3000 + "evil",
    "out/evil",
    7,
    None,
    {"a": 1},
    [1, 2],
]


def forged(kind: Callable[[Forger], None]) -> Forger:
    forger = Forger()
    kind(forger)
    return forger


def evil_names(forger: Forger) -> None:
    for path in EVIL_PATHS:
        forger.entry(path, "text")
        forger.entry(path, "dir")
    for kind in (None, "exe", 7, {"text": 1}):
        forger.entry("evil without kind", kind)
    for column in forger.columns.values():
        column["not an entry"] = "x"
        column["f" * 24] = b"\xff"


def evil_contents(forger: Forger) -> None:
    good = "ab" * 32
    for number, value in enumerate(
        (
            None,
            7,
            "x",
            {},
            {"size": -1},
            {"size": 1 << 60},
            {"size": 1.5},
            {"size": "x"},
            {"size": 3, "index": "../../x"},
            {"size": 3, "by": "\x1b[2J" * 50, "at": -5},
        )
    ):
        blob = forger.entry(f"evil {number}.bin", "blob")
        forger.version(blob, good, value)
        forger.version(blob, "../../etc", {"size": 1})
        forger.version(blob, good.upper(), {"size": 1})
        forger.columns["gone"][blob] = "x"
        forger.columns["origin"][blob] = {"by": 5, "copy_of": "../x"}
        forger.columns["exec"][blob] = "yes"
    for number, target in enumerate(("/etc/passwd", "../../x", "sub/../../x", ".git/hooks", "a\0b", "", 7)):
        link = forger.entry(f"evil link {number}", "link")
        data = str(target).encode()
        forger.version(link, digest_of(data), {"size": len(data), "by": "M", "at": 0, "target": target})
    through = forger.entry("evil door", "link")
    forger.version(through, digest_of(b"sub"), {"size": 3, "by": "M", "at": 0, "target": "sub"})
    forger.entry("evil door/inside.txt")
    gone = forger.entry("evil gone.txt")
    forger.columns["gone"][gone] = b"\xff\xff\xff\xff"
    no_text = forger.entry("evil no text.txt")
    forger.texts[-1] = (DocumentId(no_text), Author(5).type(""))
    as_map: Doc[Any] = Doc(client_id=77)
    as_map.get("content", type=Map)["x"] = 1
    forger.texts.append((DocumentId(forger.entry("evil map.txt", "text")), as_map.get_update()))


@pytest.mark.parametrize("evil", [evil_names, evil_contents])
def test_a_hostile_room_writes_nothing_outside_and_ends_nobody(
    evil: Callable[[Forger], None], hub: Hub, pair: Pair, tmp_path: Path
) -> None:
    ann, bob = pair
    here, there = share(pair, {"a.txt": lines(), "sub/b.txt": "b\n"})
    outside = tmp_path / "outside"
    outside.mkdir()
    for folder in (here, there):
        (folder / ".git/hooks").mkdir(parents=True)
        (folder / "out").symlink_to(outside)
    settle(ann, bob)
    kept = {path: path.lstat().st_mtime_ns for path in tmp_path.glob("*")}
    forger = forged(evil)
    for update in forger.updates:
        push(hub.url, update)
    still_syncs(ann, bob)
    with Joined(hub.url, tmp_path / "cid", name="Cid") as cid:
        cid.wait_for("joining")
        honest = {"a.txt", "sub/b.txt", "afterwards.txt"}
        eventually(lambda: honest <= set(tree(cid.folder)), "a newcomer gets what is honest")
        assert (cid.folder / "a.txt").read_text() == lines()
        assert cid.running
    assert list(outside.iterdir()) == []
    assert set(tmp_path.glob("*")) == {*kept, tmp_path / "cid"}
    assert not Path("/tmp/evil").exists() and not Path("/tmp/crdtsync-evil").exists()
    for folder in (here, there):
        assert list((folder / ".git/hooks").iterdir()) == []
        assert list((folder / ".git").iterdir()) == [folder / ".git/hooks"]
        assert os.readlink(folder / "out") == str(outside)
        assert (folder / "a.txt").read_text() == lines()
        assert (folder / "sub/b.txt").read_text() == "b\n"
        for path in folder.rglob("*"):
            if path.is_symlink() and path != folder / "out":
                assert os.path.realpath(path).startswith(str(folder)), path
    for replica in pair:
        assert replica.stop() == 0
    with Joined(hub.url, here, name="Ann") as ann_again, Joined(hub.url, there, name="Bob") as bob_again:
        for replica in (ann_again, bob_again):
            wait_until_connected(replica)
        still_syncs(ann_again, bob_again, "after a restart.txt")
