"""Recorded conversations with editors: what they say and what happens is read, what they are told is written.

``python -m tests.editor.transcripts`` writes the golden files anew, to be read before they are committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from crdtsync.core.editor.session import EditorSession
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.text.diff import Edit
from crdtsync.testing.virtual_machine import DIRECTORY
from tests.replica.test_live import Program
from tests.simulation.scene import Scene

GOLDEN = Path(__file__).parent / "golden"


class Stage:
    """A replica with one file ``a.md`` that another program has open, too, and the editors of a transcript.

    ``> ...`` is a line of the first editor, ``2> ...`` of the second; ``! edit START END "text"`` an edit of
    the other program, ``! disk "text"`` a save, ``! file "text"`` the file at the beginning, ``! wait`` some
    time, ``! quit`` the end of the first editor. ``< ...`` is what an editor is told, ``= ...`` the text.
    """

    def __init__(self) -> None:
        self.scene = Scene()
        self.other = Program(self.scene.a, 1)
        self.told: list[str] = []
        self.holder = 1
        self.sessions = {"": self._session(""), "2": self._session("2")}

    def run(self, line: str) -> list[str]:
        """The line, and what follows from it."""
        self.told = []
        if line.startswith("! "):
            self._happen(line[2:])
        else:
            who, _, said = line.partition("> ")
            self.sessions[who].receive(said)
        return [line, *self.told]

    def listen(self, send: Callable[[str], None]) -> None:
        """Let a new first editor connect that hears by ``send``."""
        self.sessions[""] = EditorSession(
            DIRECTORY, _real_path, self._attach, self._detach, self._say, send, send, self._taken
        )

    def _session(self, who: str) -> EditorSession:
        def send(message: str) -> None:
            self.told.append(f"{who}< {message}")

        def drop(reason: str) -> None:
            self.told.append(f"{who}dropped: {reason}")

        return EditorSession(DIRECTORY, _real_path, self._attach, self._detach, self._say, send, drop)

    def _taken(self, program: str) -> int:
        assert self.scene.a.engine is not None
        return self.scene.a.engine.taken(program)

    def _attach(self, sink: object) -> int:
        self.holder += 1
        holder = self.holder

        def tell(effect: ef.ForPrograms) -> None:
            if holder in getattr(effect, "holders", (getattr(effect, "holder", None),)):
                sink(effect)  # type: ignore[operator]

        self.scene.a.programs.append(tell)
        return holder

    def _detach(self, holder: int) -> None:
        self.scene.a.handle(ev.HolderGone(holder))

    def _say(self, event: ev.Said) -> None:
        self.scene.a.handle(event)

    def _happen(self, what: str) -> None:
        word, _, rest = what.partition(" ")
        scene, other = self.scene, self.other
        match word:
            case "file":
                scene.save(scene.a, "a.md", json.loads(rest))
                scene.rest()
                other.open("a.md")
                scene.wait(1.0)
            case "edit":
                start, end, text = rest.split(" ", 2)
                other.edit("a.md", Edit(int(start), int(end), json.loads(text)))
            case "cursor":
                anchor, head = rest.split(" ")
                scene.a.handle(ev.PlaceCursors(1, other.texts["a.md"], ((int(anchor), int(head)),)))
            case "disk":
                scene.save(scene.a, "a.md", json.loads(rest))
                scene.wait(1.0)
            case "link":
                scene.hub.kill() if rest == "down" else scene.hub.start()
                scene.wait(1.0)
            case "wait":
                scene.wait(2.0)
            case "quit":
                self.sessions[""].end()
            case "read":
                on_disk = scene.read(scene.a, rest or "a.md") or ""
                text = other.read("a.md") if not rest else on_disk
                self.told.append(f"= {json.dumps(text, ensure_ascii=False)}")
                if not rest:
                    self.told.append(f"disk = {json.dumps(on_disk, ensure_ascii=False)}")
            case _:
                raise AssertionError(what)


def played(transcript: str) -> str:
    """The transcript with what is told now."""
    stage = Stage()
    lines: list[str] = []
    for line in transcript.splitlines():
        if line.startswith("#") or not line:
            lines.append(line)
        elif line.startswith("! ") or line.partition("> ")[0] in ("", "2"):
            lines += stage.run(line)
    return "\n".join(lines) + "\n"


def _real_path(path: str) -> str:
    """``/link`` leads to the folder, and so does ``/link/to/folder``."""
    for link in ("/link/to/folder", "/link"):
        if path == link or path.startswith(link + "/"):
            return DIRECTORY + path[len(link) :]
    return path


if __name__ == "__main__":
    for file in sorted(GOLDEN.glob("*.txt")):
        file.write_text(played(file.read_text("utf-8")), "utf-8")
