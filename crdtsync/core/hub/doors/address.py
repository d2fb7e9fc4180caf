"""Which document a request wants: ``/yjs/<room>/<path>?token=...``, percent-encoded as browsers do it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

from crdtsync.core.hub.events import HocuspocusDoor, YjsDoor
from crdtsync.core.values import limits

YJS_PATH: Final = "/yjs/"
HOCUSPOCUS_PATH: Final = "/hocuspocus"


def door_at(target: str) -> YjsDoor | HocuspocusDoor | None:
    """The door that a request for ``target`` (path and query) knocks at; None where there is none.

    What is no valid UTF-8 becomes U+FFFD, and is told to be an impossible path or another file's.
    """
    path, _, query = target.partition("?")
    if path.rstrip("/") == HOCUSPOCUS_PATH:
        return HocuspocusDoor()
    if not path.startswith(YJS_PATH):
        return None
    room, _, document = path.removeprefix(YJS_PATH).partition("/")
    fields = parse_qs(query, max_num_fields=64) if len(query) <= 4 * limits.TOKEN_MAX_CHARS else {}
    tokens = fields.get("token", ())
    return YjsDoor(unquote(room), unquote(document), tokens[0] if tokens else None)
