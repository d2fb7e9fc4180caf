"""Real hubs and replicas as processes, on real folders: start, wait on conditions, kill, compare."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import DEADLINE_S, eventually


class Process:
    """One ``crdtsync`` command that prints a JSON object a line."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, **(env or {})}
        number, self._log_path = tempfile.mkstemp(prefix=f"crdtsync-{arguments[0]}-", suffix=".log")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crdtsync", *arguments],
            stdout=subprocess.PIPE,
            stderr=number,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        os.close(number)
        self.events: list[dict[str, Any]] = []
        self._rest = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self) -> list[dict[str, Any]]:
        """Take in what it has printed so far; returns all events."""
        stream = self._process.stdout
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
        while True:
            with contextlib.suppress(BlockingIOError):
                data = os.read(stream.fileno(), 65536)
                if data:
                    self._rest += data
                    continue
            break
        *lines, self._rest = self._rest.split(b"\n")
        self.events += [json.loads(line) for line in lines if line]
        return self.events

    def wait_for(self, event: str, deadline_s: float = DEADLINE_S, **fields: object) -> dict[str, Any]:
        """Wait for an event of that name with these fields."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [
                e
                for e in self.read()
                if e.get("event") == event and all(e.get(key) == value for key, value in fields.items())
            ]
            if not found and self._process.poll() is not None:
                code = self._process.returncode
                raise AssertionError(f"ended with {code} before {event}: {self.events[-5:]} {self.errors()}")
            return bool(found)

        eventually(there, f"{event} {fields}", deadline_s)
        return found[0]

    def errors(self) -> str:
        """The end of what it wrote to stderr."""
        return Path(self._log_path).read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """SIGKILL, as a power switch for one process; it is of no use afterwards."""
        self._process.kill()
        self._process.wait(DEADLINE_S)
        self.read()
        self.close()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        code = self._process.wait(DEADLINE_S)
        self.read()
        return code

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def closed(self) -> bool:
        return self._process.stdout is None or self._process.stdout.closed

    def close(self) -> None:
        """Let go of what the process left; may be called again."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        Path(self._log_path).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        if error is not None and not self.closed:
            sys.stderr.write(f"--- {self.events[-30:]}\n{self.errors()}\n")
        self.close()


class Hub(Process):
    """A hub on a free port of loopback."""

    def __init__(self, data: Path, port: int = 0, *options: str) -> None:
        super().__init__("hub", "--json", "--data", str(data), "--port", str(port), *options)
        self.data = data
        self.url: str = self.wait_for("listening")["url"]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


class Joined(Process):
    """A folder joined to room ``room``."""

    def __init__(
        self, hub_url: str, folder: Path, room: str = "notes", *, name: str, differing: str = ""
    ) -> None:
        extra = ["--differing", differing] if differing else []
        super().__init__("join", room, str(folder), "--hub", hub_url, "--name", name, "--json", *extra)
        self.folder = folder

    def command(self, *arguments: str, check: bool = True) -> Any:
        """Run another command on the folder; returns its JSON."""
        done = run(*arguments, str(self.folder), "--json")
        if check:
            assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr, self.errors())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def status(self) -> dict[str, Any]:
        result: dict[str, Any] = self.command("status")
        return result

    def flush(self, timeout_s: float = DEADLINE_S) -> None:
        done = run("flush", str(self.folder), "--timeout", str(timeout_s))
        assert done.returncode == 0, (done.returncode, done.stderr, self.errors(), self._status_or_none())

    def _status_or_none(self) -> object:
        with contextlib.suppress(AssertionError):
            return self.status()
        return None


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "crdtsync", *arguments],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        input=stdin,
        check=False,
    )


def settle(*replicas: Joined) -> None:
    """Flush each until none changes anything any more: what one sends, the next receives."""
    for _ in range(2):
        for replica in replicas:
            replica.flush()


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in the folder but the state folder: file bytes, ``-> target`` of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for at, folders, files in os.walk(folder):
        if ".crdtsync" in folders:
            folders.remove(".crdtsync")
        for name in [*folders, *files]:
            path = Path(at) / name
            shown = str(path.relative_to(folder))
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # it has just gone, or come back
                if path.is_symlink():
                    found[shown] = f"-> {os.readlink(path)}"
                else:
                    found[shown] = None if path.is_dir() else path.read_bytes()
    return found


def assert_same(*folders: Path) -> None:
    """All folders hold the same names and bytes."""
    first = tree(folders[0])
    for other in folders[1:]:
        there = tree(other)
        missing = sorted(first.keys() ^ there.keys())
        assert not missing, f"only in one of {folders[0]} and {other}: {missing[:10]}"
        differing = [name for name in first if first[name] != there[name]]
        assert not differing, f"differ in {folders[0]} and {other}: {differing[:10]}"


def texts(folder: Path) -> Iterator[str]:
    """The contents of all files, as text."""
    for content in tree(folder).values():
        if isinstance(content, bytes):
            yield content.decode("utf-8", "replace")
