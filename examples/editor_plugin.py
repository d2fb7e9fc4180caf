"""A whole editor plugin in one file: it follows a text of a joined folder, and types what it reads on stdin.

    python examples/editor_plugin.py notes/todo.md

An editor needs no more than this: start ``crdtsync client``, open the file, apply the edits that it is sent,
send those of its person, and count both. It never transforms anything; the other side does. Positions are
lines and characters (code points), from 0; all of a delta is of the text before it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CLIENT = (sys.executable, "-m", "crdtsync", "client")


class Plugin:
    """One file. ``text`` is what the editor shows; hold ``lock`` to read or change it."""

    def __init__(self, file: Path) -> None:
        self.uri = file.absolute().as_uri()
        self.text = file.read_text("utf-8") if file.exists() else ""
        self.lock = threading.RLock()
        self.ready = threading.Event()
        self._mine = 0  # edits that we have made
        self._theirs = 0  # edits of the others that we have applied
        self._number = 0
        self._client = subprocess.Popen(
            [*CLIENT, "--directory", str(file.absolute().parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._ask("open", {"uri": self.uri, "content": self.text})

    def type(self, start: int, end: int, replacement: str) -> None:
        """The person replaces the characters [start, end)."""
        with self.lock:
            ends = {"start": self._position(start), "end": self._position(end)}
            self.text = self.text[:start] + replacement + self.text[end:]
            self._mine += 1
            delta = [{"range": ends, "replacement": replacement}]
            self._ask("edit", {"uri": self.uri, "revision": self._theirs, "delta": delta})

    def close(self) -> None:
        assert self._client.stdin is not None and self._client.stdout is not None
        self._client.stdin.close()
        self._client.wait()
        self._listener.join()
        self._client.stdout.close()

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("method") == "edit":
            params = message["params"]
            if params["revision"] != self._mine:
                return  # it did not know our last edit yet; it comes again, as it is after that
            for change in params["delta"]:
                start, end = self._offset(change["range"]["start"]), self._offset(change["range"]["end"])
                self.text = self.text[:start] + change["replacement"] + self.text[end:]
            self._theirs += 1
        elif "error" in message:
            print(message["error"]["message"], file=sys.stderr)
        elif "result" in message:
            self.ready.set()

    def _position(self, offset: int) -> dict[str, int]:
        before = self.text[:offset]
        return {"line": before.count("\n"), "character": offset - (before.rfind("\n") + 1)}

    def _offset(self, position: dict[str, int]) -> int:
        lines = self.text.split("\n")[: position["line"]]
        return sum(len(line) + 1 for line in lines) + position["character"]

    def _ask(self, method: str, params: dict[str, Any]) -> None:
        self._number += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}).encode()
        assert self._client.stdin is not None
        self._client.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._client.stdin.flush()

    def _listen(self) -> None:
        stdout = self._client.stdout
        assert stdout is not None
        while header := stdout.readline():
            stdout.readline()
            message = json.loads(stdout.read(int(header.split(b":")[1])))
            with self.lock:
                self._hear(message)


def main() -> None:
    plugin = Plugin(Path(sys.argv[1]))
    plugin.ready.wait()
    for line in sys.stdin:
        with plugin.lock:
            plugin.type(len(plugin.text), len(plugin.text), line)
    plugin.close()


if __name__ == "__main__":
    main()
