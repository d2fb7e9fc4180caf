"""The live view draws from a thread: a terminal that takes nothing costs pictures, and holds nobody up."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from crdtsync.cli.render import Change, LiveView, Scene
from tests.waiting import DEADLINE_S, eventually

PICTURES = 3000


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Whoever looks at it, and the program's end."""
    looker, program = os.openpty()
    try:
        yield looker, program
    finally:
        os.close(program)
        os.close(looker)


def test_a_terminal_that_takes_nothing_holds_nobody_up(terminal: tuple[int, int]) -> None:
    looker, program = terminal
    view = LiveView(Scene("room", "ws://hub", "/folder"), program)
    view.lines(["." * 1_000_000])  # more than any terminal keeps for whoever looks at it later
    seen = bytearray()

    def draw() -> None:
        view.start()
        for number in range(PICTURES):
            view.scene.changes.append(Change("sent", f"file {number}", "edited", "12:00:00"))
            view.redraw()

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    eventually(lambda: not drawing.is_alive(), "all pictures were asked for")
    assert not view.wait(0)

    def look() -> None:
        last = f"file {PICTURES - 1} ".encode()
        while last not in seen:
            seen.extend(os.read(looker, 65536))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    eventually(lambda: not looking.is_alive(), "the last picture is there")
    assert seen.count(b"recent") < PICTURES / 2, "pictures that nobody saw were skipped"
    reading = threading.Thread(target=lambda: os.read(looker, 65536), daemon=True)
    reading.start()
    view.close()


def test_a_terminal_that_goes_away_ends_the_pictures_only() -> None:
    looker, program = os.openpty()
    os.close(looker)
    view = LiveView(Scene("room", "ws://hub", "/folder"), program)
    view.start()
    view.redraw()
    assert view.wait(DEADLINE_S)
    view.close()
    os.close(program)
