"""``crdtsync share``: whoever types the line that it prints has the folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.processes.harness import Process, assert_same, run


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_line_that_share_prints_joins_the_folder(tmp_path: Path, host: str) -> None:
    shared, joined = tmp_path / "project", tmp_path / "joined"
    shared.mkdir()
    (shared / "plan.md").write_text("one\n")
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    with Process("share", str(shared), "--host", host, "--port", "0", "--json", env=data) as sharing:
        line = sharing.wait_for("listening")["join"]
        assert run("flush", str(shared)).returncode == 0, "the hub has it all"
        # This machine's name need not lead to it.
        line = re.sub(r"ws://[^:/]+:", "ws://127.0.0.1:", line)
        words = [str(joined) if word == "DIR" else word for word in shlex.split(line)[1:]]
        if str(joined) not in words:
            words.append(str(joined))
        done = run(*words, "--once")
        assert done.returncode == 0, done.stderr
        assert_same(shared, joined)
        assert sharing.stop() == 0
