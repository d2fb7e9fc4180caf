"""The one-file plugin in ``examples`` follows a text, types into it, and outlives its replica."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tests.processes.harness import Hub, Joined
from tests.waiting import DEADLINE_S, eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "editor_plugin.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("editor_plugin", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plugin_types_and_follows_and_outlives_its_replica(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub") as hub, Joined(hub.url, tmp_path / "bob", name="Bob") as bob:
        bob.wait_for("state", state="settled")
        with Joined(hub.url, tmp_path / "ann", name="Ann") as ann:
            ann.wait_for("state", state="settled")
            file = ann.folder / "todo.md"
            plugin = example().Plugin(file)
            assert plugin.ready.wait(DEADLINE_S)
            plugin.type(0, 0, "milk 🎈\n")
            theirs = bob.folder / "todo.md"
            eventually(
                lambda: theirs.exists() and theirs.read_text() == "milk 🎈\n", "it reaches the disk there"
            )
            theirs.write_text("bread\nmilk 🎈\n")
            eventually(lambda: plugin.text == "bread\nmilk 🎈\n", "what is saved there is shown here")
            mode = (ann.folder / ".crdtsync" / "editors").stat().st_mode
            assert stat.S_IMODE(mode) == 0o600
            os.kill(ann.pid, signal.SIGKILL)
        plugin.type(len(plugin.text), len(plugin.text), "typed while nothing ran\n")
        theirs.write_text("bread\neggs\nmilk 🎈\n")
        with Joined(hub.url, tmp_path / "ann", name="Ann"):
            whole = "bread\neggs\nmilk 🎈\ntyped while nothing ran\n"
            eventually(
                lambda: plugin.text == whole == theirs.read_text() == file.read_text(), "all is everywhere"
            )
            plugin.close()


def test_a_client_without_a_replica_says_so_and_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crdtsync", "client", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
    assert "is not in a joined folder" in done.stderr
