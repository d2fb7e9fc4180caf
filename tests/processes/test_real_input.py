"""Real input: the standard library's own folder, and a real git history replayed under two people's hands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined, assert_same, settle, tree

COMMITS = int(os.environ.get("CRDTSYNC_COMMITS", "300"))
"""As many of the newest commits as are replayed; the whole history if there are fewer."""


def standard_library(target: Path) -> None:
    """A copy of the standard library's folder, without what is not its own, or was made of the rest."""
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), target, ignore=left_out, symlinks=True)


def test_the_standard_library_goes_there_and_back(hub: Hub, tmp_path: Path) -> None:
    ann_folder, bob_folder, cid_folder = (tmp_path / name for name in ("ann", "bob", "cid"))
    standard_library(ann_folder)
    standard_library(cid_folder)
    before = tree(ann_folder)
    with Joined(hub.url, ann_folder, name="Ann") as ann:
        ann.wait_for("state", state="settled", deadline_s=300)
        with Joined(hub.url, bob_folder, name="Bob") as bob:
            bob.wait_for("state", state="settled", deadline_s=300)
            settle(ann, bob)
            assert_same(ann_folder, bob_folder)
        assert tree(ann_folder) == before
        with Joined(hub.url, cid_folder, name="Cid") as cid:
            told = cid.wait_for("comparison", deadline_s=300)
            assert told["differing"] == told["only_here"] == told["only_there"] == []
            cid.wait_for("state", state="settled", deadline_s=300)
            settle(cid, ann)
            assert tree(cid_folder) == before
            assert cid.command("conflicts") == []


def history() -> Path | None:
    """A real git repository to replay: CRDTSYNC_HISTORY, or this project's own."""
    for place in (os.environ.get("CRDTSYNC_HISTORY"), str(Path(__file__).parents[2])):
        if place and subprocess.run(["git", "-C", place, "rev-parse"], capture_output=True).returncode == 0:
            return Path(place)
    return None


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_git_history_replayed_on_one_side_while_the_other_edits(hub: Hub, tmp_path: Path) -> None:
    source = history()
    if source is None:
        pytest.skip("no git history to replay: set CRDTSYNC_HISTORY to a repository")
    commits = git(source, "log", "--first-parent", "--format=%H").split()[:COMMITS][::-1]
    ann_folder, bob_folder = tmp_path / "ann", tmp_path / "bob"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(source), str(ann_folder)], check=True)
    git(ann_folder, "checkout", "--quiet", commits[0])
    with Joined(hub.url, ann_folder, name="Ann") as ann, Joined(hub.url, bob_folder, name="Bob") as bob:
        ann.wait_for("state", state="settled")
        bob.wait_for("state", state="settled")
        settle(ann, bob)
        notes = bob_folder / "notes of bob.md"
        for number, commit in enumerate(commits[1:]):
            git(ann_folder, "checkout", "--quiet", "--force", commit)
            with open(notes, "a") as file:
                file.write(f"Bob saw commit {number}\n")
            if number % 20 == 19:
                settle(ann, bob)
        settle(ann, bob)
        pending = ann.status()["attention"] + bob.status()["attention"]
        held = [item for item in pending if item["kind"] == "held"]
        if held:
            ann.command("confirm")
            settle(ann, bob)
        shared = {name: content for name, content in tree(ann_folder).items() if not name.startswith(".git/")}
        shared.pop(".git", None)
        theirs = tree(bob_folder)
        for name in theirs.keys() - shared.keys():
            git(
                ann_folder, "check-ignore", "--no-index", name
            )  # what a commit takes out and ignores, Bob keeps
            del theirs[name]
        assert shared == theirs
        assert git(ann_folder, "status", "--porcelain", "--untracked-files=no") == ""
        assert notes.read_text() == "".join(f"Bob saw commit {n}\n" for n in range(len(commits) - 1))
