"""One module per measure: TITLE, TARGETS, how it is taken (its docstring), and ``run(bench)``."""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = (
    "save",
    "first_join",
    "keystroke",
    "editor",
    "hub_relay",
    "hub_rooms",
    "hub_idle_rooms",
    "hub_overload",
    "start",
    "checkout",
    "one_byte",
    "rejoin_changed",
    "history",
    "large_text",
    "idle",
    "small_files",
    "big_blob",
    "save_during_blob",
)
"""By importance: a run that is cut short has the most telling."""


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.measures.{name}")
