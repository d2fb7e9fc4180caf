"""The staging folder while people tidy up: made anew where someone deleted it, and never another's."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from crdtsync.adapters.folder import JoinedFolder
from crdtsync.api.content import staging
from crdtsync.core.replica.steps import Done, Failed, Step

from .support import Joined, blob_step, digest, done, remove_step, text_step

BLOB = 3
HOW: dict[str, Callable[[Path], object]] = {
    "deleted": shutil.rmtree,
    "moved away": lambda staging: os.rename(staging, staging.with_name("elsewhere")),
}


def _steps(joined: Joined) -> list[Step]:
    (joined.root / "there").write_text("old")
    (joined.root / "goes").write_text("old")
    return [
        text_step("new", "text"),
        text_step("there", "text", joined.expected("there")),
        remove_step("goes", joined.expected("goes")),
        blob_step("blob", b"blob"),
    ]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("which", range(4))
def test_a_staging_folder_that_someone_took_away_is_made_anew(joined: Joined, how: str, which: int) -> None:
    step = _steps(joined)[which]
    HOW[how](joined.staging)
    if not isinstance(joined.perform(step), Done):  # as the engine does: it tries again
        if which == BLOB:
            (joined.staging / f"blob-{digest('blob')}").write_bytes(b"blob")
        done(joined.perform(step))
    if which == BLOB or how == "deleted":
        assert stat.S_IMODE(joined.staging.stat().st_mode) == 0o700


@pytest.mark.parametrize("which", range(4))
def test_what_leads_elsewhere_in_place_of_staging_is_told_and_not_followed(
    joined: Joined, which: int, tmp_path: Path
) -> None:
    step = _steps(joined)[which]
    outside = tmp_path / "outside"
    outside.mkdir()
    before = sorted(os.listdir(joined.root))
    joined.staging.rmdir()
    joined.staging.symlink_to(outside)
    outcome = joined.perform(step)
    assert isinstance(outcome, Failed)
    assert ".crdtsync/staging is not a folder; move it away" in outcome.message
    assert (os.listdir(outside), sorted(os.listdir(joined.root))) == ([], before)


def test_a_program_that_writes_a_file_makes_it_anew(tmp_path: Path) -> None:
    folder = JoinedFolder(tmp_path, "notes", "ws://hub")
    try:
        shutil.rmtree(folder.staging)
        with staging(folder.staging) as staged:
            os.close(staged.create())
            folder.put_file(staged.give(), "a")
        assert (tmp_path / "a").is_file()
    finally:
        folder.close()
