"""Every situation of the editor protocol as a recorded conversation; see ``transcripts`` for the notation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editor.transcripts import GOLDEN, played


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_an_editor_is_told_what_was_recorded(file: Path) -> None:
    recorded = file.read_text("utf-8")
    assert played(recorded) == recorded


def test_no_transcript_is_missing() -> None:
    assert len(list(GOLDEN.glob("*.txt"))) >= 20
