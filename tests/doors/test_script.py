"""The example script types into a file of a real folder, with the Yjs provider that pycrdt ships."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes.harness import Hub, Joined
from tests.waiting import DEADLINE_S, eventually

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "type_from_a_script.py"


def test_a_script_adds_lines_to_a_file_of_the_folder(tmp_path: Path) -> None:
    def add(line: str) -> str:
        command = [sys.executable, str(SCRIPT), hub.url, "notes/lists/Zoë 🎈.md", line]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    with Hub(tmp_path / "hub") as hub, Joined(hub.url, tmp_path / "bob", name="Bob") as bob:
        bob.wait_for("state", state="settled")
        assert add("milk") == "milk\n"
        file = bob.folder / "lists" / "Zoë 🎈.md"
        eventually(lambda: file.exists() and file.read_text() == "milk\n", "the file is made")
        file.write_text("bread\nmilk\n")
        bob.flush()
        assert add("日本") == "bread\nmilk\n日本\n"
        eventually(lambda: file.read_text() == "bread\nmilk\n日本\n", "the line is added")
