"""Two repositories under the git-annex assistant, each the other's remote on the same disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.processes import started

OPTIONS = "two repositories on one disk as each other's remotes, files unlocked"


@contextmanager
def running(place: Path, fill: Callable[[Path], object]) -> Iterator[dict[str, int]]:
    """``one`` and ``two`` in ``place``, both with an assistant in the foreground."""
    env = {"HOME": str(place), "GIT_CONFIG_NOSYSTEM": "1"}
    (place / ".gitconfig").write_text(
        "[user]\nname = Bench\nemail = bench@localhost\n[annex]\naddunlocked = true\n"
        "[init]\ndefaultBranch = main\n[safe]\ndirectory = *\n"
    )

    def git(name: str, *arguments: str | Path) -> None:
        command = ["git", "-C", place / name, *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **env})

    git("one", "init", "--quiet")
    git("one", "annex", "init", "one")
    fill(place / "one")
    git("one", "annex", "add", ".")
    git("one", "commit", "--quiet", "--allow-empty", "-m", "first")
    git(".", "clone", "--quiet", "--origin", "one", place / "one", place / "two")
    git("two", "annex", "init", "two")
    git("one", "remote", "add", "two", place / "two")
    for name in ("two", "one"):
        git(name, "annex", "sync", "--content")
    with ExitStack() as stack:
        pids: dict[str, int] = {}
        for name in ("one", "two"):
            command = ["git", "-C", place / name, "annex", "assistant", "--foreground"]
            pids[name] = stack.enter_context(started(command, place / f"{name}.log", env)).pid
        yield pids
