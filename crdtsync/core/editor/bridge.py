"""Between one editor and a replica that may end and start again: nothing typed meanwhile is lost.

To the editor the bridge is the replica, with revisions that go on; to the replica it is an editor that keeps
the plugins' rules. After a new connection it opens the files again with what the replica has of them, and
sends the rest again. Knows messages, no pipes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from crdtsync.core.editor import answers
from crdtsync.core.editor.answers import Id
from crdtsync.core.editor.positions import Lines, Position
from crdtsync.core.editor.revisions import Revisions, Told, TooFarBehind, ascending
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.offsets import well_formed

Message = dict[str, Any]


class _File:
    """One file that the editor has open, or wants to have."""

    def __init__(self, uri: str, content: str, asked: Id) -> None:
        self.uri = uri
        self.revisions = Revisions(content)
        self.asked = asked
        """The editor's request, until it is answered."""
        self.answered = False
        self.open = False
        """At the replica."""
        self.sent = 0
        self.applied = 0
        self.sendings: list[tuple[int, tuple[Edit, ...], str]] = []
        """What was sent and is not confirmed: numbers and edits, each with the text before it."""
        self.held: list[tuple[Edit, ...]] = []
        """Edits that wait for the file to be open at the replica, ..."""
        self.held_from = content
        """... and what was shown before the first of them."""


class Bridge:
    """``name`` is its own: 16 random hex digits. ``to_editor`` and ``to_replica`` take one message each, as
    JSON without line ends."""

    def __init__(
        self, name: str, to_editor: Callable[[str], None], to_replica: Callable[[str], None]
    ) -> None:
        self._name = name
        self._to_editor = to_editor
        self._to_replica = to_replica
        self._files: dict[str, _File] = {}
        self._connected = False
        self._resuming = True
        """Whether it is not known yet how far the replica got."""
        self._number = 0
        self._asked: dict[int, Callable[[Message], None]] = {}
        """What to do with the replica's answers."""
        self._cursor: Message | None = None

    # -- the connection -------------------------------------------------------------------------------

    def connected(self) -> None:
        """A replica listens: ask how far it got, and open everything again."""
        self._connected = True
        self._ask({"method": "resume", "params": {"bridge": self._name}}, self._resumed)

    def _resumed(self, answer: Message) -> None:
        result = answer.get("result")
        taken = result.get("taken") if isinstance(result, dict) else None
        self._resuming = False
        for file in self._files.values():
            self._open_at_replica(file, taken if isinstance(taken, int) else 0)

    def disconnected(self) -> None:
        """It is gone; the editor is not told, and types on."""
        self._connected = False
        self._resuming = True
        self._asked.clear()
        for file in self._files.values():
            if file.open:
                file.held_from = file.revisions.text
            file.open = False

    @property
    def unconfirmed(self) -> bool:
        """Whether something that was typed is not known to be in the room."""
        return any(file.sendings or file.held for file in self._files.values())

    # -- from the editor --------------------------------------------------------------------------------

    def from_editor(self, body: bytes) -> None:
        """One message; never raises for what is in it."""
        try:
            message = json.loads(
                body.decode("utf-8", "replace")
            )  # half a character is no reason to lose an edit
        except (ValueError, RecursionError):
            self._to_editor(answers.error(None, answers.NOT_JSON, "this is not JSON"))
            return
        known = message if isinstance(message, dict) else {}
        given = known.get("params")
        params: Message = given if isinstance(given, dict) else {}
        method, uri, number = known.get("method"), params.get("uri"), known.get("id")
        file = self._files.get(uri) if isinstance(uri, str) else None
        match method:
            case "open" if isinstance(uri, str) and isinstance(params.get("content", ""), str):
                self._open(uri, well_formed(params.get("content", "")), number)
            case "edit" if file is not None:
                self._edit(file, number, params)
            case "close" if file is not None:
                del self._files[file.uri]
                self._forward(message, number)
            case "cursor" if isinstance(uri, str):
                self._cursor = message
                if file is not None and not file.open:
                    self._answer(number)  # it is told once the file is open
                else:
                    self._forward(message, number)
            case _:
                try:
                    self._forward(message, number)
                except RecursionError:  # it can be read, and just not be written
                    self._to_editor(answers.error(None, answers.NOT_JSON, "this is too deep"))

    def _open(self, uri: str, content: str, number: Id) -> None:
        file = self._files[uri] = _File(uri, content, number)
        if not self._resuming:
            self._open_at_replica(file, 0)

    def _edit(self, file: _File, number: Id, params: Message) -> None:
        revisions = file.revisions
        revisions.count()
        try:
            revision = params["revision"]
            if not isinstance(revision, int):
                raise ValueError("revision is no number")
            shown = revisions.shown_at(revision)
            edits = ascending(_edits(params["delta"], shown))
            before = revisions.text
            made = revisions.edited(revision, edits)
        except (KeyError, TypeError, ValueError) as problem:
            self._answer(number, f"the edit of {file.uri} cannot be: {problem}")
        else:
            if made:
                self._made(file, made, before)
            self._answer(number)
        self._tell(file, revisions.again())

    def _made(self, file: _File, edits: tuple[Edit, ...], before: str) -> None:
        if file.open:
            self._send_edit(file, edits, before)
        else:
            file.held.append(edits)

    def _forward(self, message: Message, number: Id) -> None:
        """What the replica itself answers, or nobody while there is none."""
        if not self._connected or self._resuming:
            self._answer(number)
            return
        if number is None or not isinstance(message, dict):
            self._to_replica(json.dumps(message))
            return
        self._ask({**message, "id": 0}, lambda answer: self._to_editor(json.dumps({**answer, "id": number})))

    def _answer(self, number: Id, problem: str | None = None) -> None:
        if number is None:
            return
        if problem is None:
            self._to_editor(answers.answer(number))
        else:
            self._to_editor(answers.error(number, answers.REFUSED, problem))

    # -- to and from the replica ------------------------------------------------------------------------

    def from_replica(self, line: bytes) -> None:
        """One message of the replica, which is believed."""
        message = json.loads(line)
        if message.get("method") == "edit":
            file = self._files.get(message["params"]["uri"])
            if file is not None and message["params"]["revision"] == file.sent:
                file.applied += 1
                file.sendings.clear()  # it has counted all of ours
                edits = _edits(message["params"]["delta"], file.revisions.text)
                self._tell(file, self._told(file, edits))
        elif "method" in message:
            self._to_editor(json.dumps(message, ensure_ascii=False))
        elif isinstance(message.get("id"), int):
            heard = self._asked.pop(message["id"], None)
            if heard is not None:
                heard(message)
        else:
            self._to_editor(json.dumps(message))  # of a message that was not understood

    def _told(self, file: _File, edits: Sequence[Edit]) -> list[Told]:
        try:
            return file.revisions.told(edits)
        except TooFarBehind:
            raise BridgeError(f"the editor has not answered to thousands of edits of {file.uri}") from None

    def _open_at_replica(self, file: _File, taken: int) -> None:
        """With what the replica is known to have of ours; the other edits follow, one by one."""
        file.sent = file.applied = 0
        lost = [sending for sending in file.sendings if sending[0] > taken]
        file.sendings.clear()
        if lost:
            file.held = [edits for _, edits, _ in lost] + file.held
            file.held_from = lost[0][2]
        params = {"uri": file.uri, "content": file.held_from}
        self._ask({"method": "open", "params": params}, lambda answer: self._opened(file, answer))

    def _opened(self, file: _File, answer: Message) -> None:
        if self._files.get(file.uri) is not file:
            return
        if "error" in answer:
            if not file.answered:
                del self._files[file.uri]
                if file.asked is not None:
                    self._to_editor(json.dumps({**answer, "id": file.asked}))
            return  # what was open before and cannot be now is tried again with the next connection
        if not file.answered:
            file.answered = True
            self._answer(file.asked)
        file.open = True
        shown, held, file.held = file.held_from, file.held, []
        for edits in held:
            self._send_edit(file, edits, shown)
            shown = apply_edits(shown, edits)
        if self._cursor is not None and self._cursor["params"]["uri"] == file.uri:
            self._ask({**self._cursor, "id": 0}, lambda _: None)

    def _send_edit(self, file: _File, edits: tuple[Edit, ...], before: str) -> None:
        lines = Lines(before)
        delta = [
            {"range": answers.range_of(lines, edit.start, edit.end), "replacement": edit.text}
            for edit in edits
        ]
        mark = self._number + 1
        params = {"uri": file.uri, "revision": file.applied, "delta": delta, "mark": mark}
        file.sent += 1
        number = self._ask(
            {"method": "edit", "params": params}, lambda answer: self._confirmed(file, answer["id"])
        )
        file.sendings.append((number, edits, before))

    def _confirmed(self, file: _File, number: int) -> None:
        file.sendings = [each for each in file.sendings if each[0] > number]

    def _ask(self, message: Message, heard: Callable[[Message], None]) -> int:
        line = json.dumps({"jsonrpc": "2.0", **message, "id": self._number + 1})
        self._number += 1
        self._asked[self._number] = heard
        self._to_replica(line)
        return self._number

    def _tell(self, file: _File, told: Iterable[Told]) -> None:
        for each in told:
            self._to_editor(answers.edit(file.uri, each.revision, each.edit, each.before))


class BridgeError(Exception):
    """The bridge cannot go on; the reason is for a person."""


def _edits(delta: Any, shown: str) -> list[Edit]:
    """Raises KeyError, TypeError or ValueError for what is no delta of the text."""
    lines = Lines(shown)
    edits = []
    for change in delta:
        ends = sorted(
            lines.offset(Position(change["range"][end]["line"], change["range"][end]["character"]))
            for end in ("start", "end")
        )
        if not isinstance(change["replacement"], str):
            raise ValueError("a replacement is no string")
        edits.append(Edit(ends[0], ends[1], well_formed(change["replacement"])))
    apply_edits(shown, ascending(edits))
    return edits
