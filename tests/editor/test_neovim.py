"""Two real Neovims in two joined folders type at random into one file, and end with the same text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined
from tests.waiting import DEADLINE_S, eventually

PLUGIN = Path(__file__).parent / "plugin.lua"
CLIENT = json.dumps([sys.executable, "-m", "crdtsync", "client"])
EDITS = 150


def neovim(file: Path, seed: int, out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CLIENT": CLIENT, "SEED": str(seed), "EDITS": str(EDITS), "OUT": str(out)}
    command = ["nvim", "--headless", "--clean", "-n", str(file), "-S", str(PLUGIN)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.skipif(
    shutil.which("nvim") is None and not os.environ.get("CRDTSYNC_NEED_NEOVIM"),
    reason="there is no nvim on this machine: apt-get install neovim",
)
def test_two_neovims_end_with_the_same_text(tmp_path: Path) -> None:
    with (
        Hub(tmp_path / "hub") as hub,
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Joined(hub.url, tmp_path / "bob", name="Bob") as bob,
    ):
        files = [joined.folder / "notes.md" for joined in (ann, bob)]
        ann.wait_for("state", state="settled")
        bob.wait_for("state", state="settled")
        files[0].write_text("one\ntwo\nthree\n")
        eventually(files[1].exists, "the file reaches the other folder")
        outs = [tmp_path / "ann.out", tmp_path / "bob.out"]
        editors = [neovim(file, seed, out) for seed, (file, out) in enumerate(zip(files, outs, strict=True))]

        def texts() -> list[str]:
            return [file.read_text("utf-8") for file in (*outs, *files)]

        try:
            eventually(lambda: all(out.exists() for out in outs), "both have typed all of it")
            # each edit that crosses another goes around once more, through six processes
            eventually(lambda: len(set(texts())) == 1, "buffers and files are equal", 5 * DEADLINE_S)
            ann.flush()
            bob.flush()
            assert len(set(texts())) == 1
            assert "<0." in texts()[0] and "<1." in texts()[0]
        finally:
            for out, editor in zip(outs, editors, strict=True):
                out.with_suffix(".out.stop").touch()
                _, errors = editor.communicate(timeout=DEADLINE_S)
                assert errors == b""
