"""What Python is told to do more or less often in a process that serves people for hours."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NEW_OBJECTS: Final = 20_000
"""With Python's own 700, a tenth of the time in which files arrive goes to looking for cycles among them, and
hardly any of our objects are in one."""
LESS_OFTEN: Final = 100
"""A search among all objects of a hub with 200 rooms takes 40 ms, in which nobody is answered."""
SWITCH_INTERVAL_S: Final = 0.001
"""How long a thread that compacts, or reads the index of a large file, may hold up the loop. With Python's
default of 5 ms a loop that was woken beside such a thread waited 7 ms in the median, with this 1 ms."""


@contextmanager
def importing() -> Iterator[None]:
    """While modules are imported: all that they make stays, and to look for cycles in it, then or when this
    ends, takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_little() -> None:
    """Call when everything is imported: what is there by then is never looked through again. For who has many
    wait for an answer: what is new is searched as often as ever, and all of it a hundred times as seldom."""
    gc.freeze()
    newest, older, oldest = gc.get_threshold()
    gc.set_threshold(newest, older, oldest * LESS_OFTEN)


def collect_nothing() -> None:
    """While a large folder is read: all of it stays, and hardly any of it is ever part of a cycle."""
    gc.disable()


def collect_seldom() -> None:
    """Call when everything is imported and read, likewise. For who has files arrive by the thousand: where
    many wait for an answer, a search among so many new objects would hold them up."""
    gc.freeze()
    gc.enable()
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, older, oldest)


def leave_all() -> None:
    """Call at the end: the process is about to go, and what it has of 100,000 files need not be taken apart,
    which takes a second."""
    gc.freeze()
    gc.enable()


def hand_over_soon() -> None:
    """Have threads give way to each other, and so to the loop, after a millisecond."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
