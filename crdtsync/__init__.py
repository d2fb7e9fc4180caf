"""Keeps a folder the same for everyone who joined it, and lets programs take part.

    async with crdtsync.connect("ws://127.0.0.1:4747", "notes") as room:
        async with await room.open("todo.md", create=True) as document:
            document.append("- milk\\n")

Begin with ``connect`` (a room, without a folder), ``join`` (a folder), ``attach`` (a folder that another
program keeps joined) or ``Hub`` (a hub in your own program);
``crdtsync.errors`` lists what may be raised. Importing this costs next to nothing: each name is loaded when
it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from crdtsync import errors
from crdtsync.errors import CrdtsyncError

if TYPE_CHECKING:
    from crdtsync.api import blocking
    from crdtsync.api.attached import attach
    from crdtsync.api.connected import connect
    from crdtsync.api.document import Document
    from crdtsync.api.hub import Hub
    from crdtsync.api.joined import join
    from crdtsync.api.room import Room
    from crdtsync.api.values import Change, Cursor, Entry, Event, Origin, TextEdit, TreeChange
    from crdtsync.core.replica.status import Conflict, Status

__all__ = [
    "Change",
    "Conflict",
    "CrdtsyncError",
    "Cursor",
    "Document",
    "Entry",
    "Event",
    "Hub",
    "Origin",
    "Room",
    "Status",
    "TextEdit",
    "TreeChange",
    "attach",
    "blocking",
    "connect",
    "errors",
    "join",
]

_PLACES = {
    "attach": "crdtsync.api.attached",
    "blocking": "crdtsync.api.blocking",
    "connect": "crdtsync.api.connected",
    "join": "crdtsync.api.joined",
    "Document": "crdtsync.api.document",
    "Hub": "crdtsync.api.hub",
    "Room": "crdtsync.api.room",
    "Change": "crdtsync.api.values",
    "Cursor": "crdtsync.api.values",
    "Entry": "crdtsync.api.values",
    "Event": "crdtsync.api.values",
    "Origin": "crdtsync.api.values",
    "TextEdit": "crdtsync.api.values",
    "TreeChange": "crdtsync.api.values",
    "Conflict": "crdtsync.core.replica.status",
    "Status": "crdtsync.core.replica.status",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'crdtsync' has no attribute {name!r}")
    module = import_module(place)
    found: object = module if name == "blocking" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
