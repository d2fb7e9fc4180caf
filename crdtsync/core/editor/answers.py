"""What editors are told, as JSON-RPC messages; quick to import, since the bridge of every editor does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from crdtsync.core.editor.positions import Lines
from crdtsync.core.text.diff import Edit

NOT_JSON: Final = -32700
NO_REQUEST: Final = -32600
NO_METHOD: Final = -32601
BAD_PARAMS: Final = -32602
REFUSED: Final = -32000
SUCCESS: Final = "success"
"""Plugins begin to track a file when they read something true."""

Id: TypeAlias = int | str | None


def answer(number: Id) -> str:
    return _encoded({"id": number, "result": SUCCESS})


def taken(number: Id, mark: int) -> str:
    """To our own bridge: how far its edits were taken."""
    return _encoded({"id": number, "result": {"taken": mark}})


def error(number: Id, code: int, message: str, data: str = "") -> str:
    return _encoded({"id": number, "error": {"code": code, "message": message, "data": data}})


def edit(uri: str, revision: int, change: Edit, before: str) -> str:
    """One edit of the text ``before``, which its editor shows."""
    change = _on_a_line(change, before)
    lines = Lines(before)
    delta = [{"range": range_of(lines, change.start, change.end), "replacement": change.text}]
    return _encoded({"method": "edit", "params": {"uri": uri, "revision": revision, "delta": delta}})


def _on_a_line(change: Edit, before: str) -> Edit:
    """What comes behind the last line end replaces that, too: an editor that shows no empty last line there
    would put a line end behind it otherwise (seen in Neovim's plugin)."""
    behind = change.start == len(before) and before.endswith("\n") and not before.endswith("\r\n")
    if behind and change.text and not change.text.endswith("\n"):
        return Edit(change.start - 1, change.end, "\n" + change.text)
    return change


def cursor(uri: str, person: str, name: str, ranges: Iterable[tuple[int, int]], text: str) -> str:
    """Where someone is in ``text``; no ranges at all: no more."""
    lines = Lines(text)
    told = [range_of(lines, anchor, head) for anchor, head in ranges]
    params = {"userid": person, "name": name or None, "uri": uri, "ranges": told}
    return _encoded({"method": "cursor", "params": params})


def range_of(lines: Lines, start: int, end: int) -> dict[str, dict[str, int]]:
    return {
        name: {"line": at.line, "character": at.character}
        for name, at in (("start", lines.position(start)), ("end", lines.position(end)))
    }


def _encoded(message: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, separators=(",", ":"))
