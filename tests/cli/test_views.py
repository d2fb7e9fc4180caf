"""What is shown of a running replica goes out in one order, from one place."""

from __future__ import annotations

import io
import json
import sys
import threading

import pytest

from crdtsync.cli.views import JsonView, PlainView, View


class Output(io.StringIO):
    """Standard output that knows which threads wrote to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[str] = set()

    def write(self, text: str) -> int:
        self.writers.add(threading.current_thread().name)
        return super().write(text)


@pytest.mark.parametrize("kind", [JsonView, PlainView])
def test_what_is_announced_comes_first_and_tears_no_line(
    monkeypatch: pytest.MonkeyPatch, kind: type[JsonView] | type[PlainView]
) -> None:
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    view: View = kind("room", "ws://hub", "/folder")
    view.announce({"event": "listening"}, "Others join with this.")
    view.start()
    view.stop()
    first, *_ = output.getvalue().splitlines()
    assert first in (json.dumps({"event": "listening"}), "Others join with this.")
    assert output.writers == {"crdtsync-lines"}
