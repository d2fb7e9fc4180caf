"""One connection of an editor: requests and notifications in, answers and notifications out.

Each file that it opens is a holder of its own at the replica, which tells it synchronously of what happens.
An answer comes before what follows from its request. No input ends the session or raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from crdtsync.core.editor import answers, messages
from crdtsync.core.editor.answers import Id
from crdtsync.core.editor.file import Attach, OpenFile, Say, Send
from crdtsync.core.editor.messages import Wrong
from crdtsync.core.editor.revisions import TooFarBehind
from crdtsync.core.editor.uris import BadUri, path_of
from crdtsync.core.replica import effects as ef
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable


class EditorSession:
    """``attach`` and ``detach`` make and end a holder, ``say`` speaks for it; ``drop`` ends the connection
    for a reason that is for a person."""

    def __init__(
        self,
        root: str,
        real_path: Callable[[str], str],
        attach: Attach,
        detach: Callable[[int], None],
        say: Say,
        send: Send,
        drop: Callable[[str], None],
        taken: Callable[[str], int] = lambda program: 0,
    ) -> None:
        self._root = root
        self._real_path = real_path
        self._attach = attach
        self._detach = detach
        self._say = say
        self._send = send
        self._drop = drop
        self._taken = taken
        self._bridge = ""
        """Who numbers its edits."""
        self._files: dict[str, OpenFile] = {}
        self._answering: dict[int, Id] = {}
        """The open requests that wait for an answer, by holder."""
        self._at: str | None = None
        """The file in which the person was last."""

    def receive(self, line: bytes | str) -> None:
        """One message of the editor."""
        message = messages.read(line)
        if isinstance(message, Wrong):
            self._send(answers.error(message.id, message.code, message.message))
            if message.edited is not None and (wrong := self._open_file(message.edited)) is not None:
                wrong.invalid()
                wrong.again()
            return
        number = message.id
        match message.params:
            case messages.Open() as params:
                self._open(number, params)
            case messages.Close(uri=uri):
                file = self._files.get(uri)
                if file is None:
                    self._refuse(number, uri, "it is not open")
                else:
                    self._close(file)
                    self._answer(number)
            case messages.EditParams() as params:
                self._edit(number, params)
            case messages.CursorParams() as params:
                self._cursor(number, params)
            case messages.Resume(bridge=bridge):
                self._bridge = bridge
                self._send(answers.taken(number, self._taken(bridge)))
            case _:
                assert_never(message.params)

    def end(self) -> None:
        """The editor is gone."""
        for file in list(self._files.values()):
            self._close(file)

    # -- files ----------------------------------------------------------------------------------------

    def _open(self, number: Id, params: messages.Open) -> None:
        """What was open under that URI starts anew."""
        uri = params.uri
        try:
            path = path_of(uri, self._root, self._real_path)
        except BadUri as problem:
            if number is not None:
                self._send(answers.error(number, answers.REFUSED, str(problem)))
            return
        known = self._files.get(uri)
        if known is not None:
            self._close(known)
        if len(self._files) >= limits.EDITOR_FILES_MAX:
            self._refuse(number, uri, f"{len(self._files)} files are open already; close some")
            return
        holder = self._attach(lambda effect: self._told(uri, effect))
        file = self._files[uri] = OpenFile(holder, params, path, self._bridge, self._say, self._send)
        self._answering[holder] = number
        file.ask()

    def _told(self, uri: str, effect: ef.ForPrograms) -> None:
        file = self._files.get(uri)
        if file is None:
            return
        try:
            self._take(file, effect)
        except TooFarBehind:
            self._drop(f"the editor has not answered to {limits.EDITS_UNTAKEN_MAX} edits of {printable(uri)}")

    def _take(self, file: OpenFile, effect: ef.ForPrograms) -> None:
        match effect:
            case ef.TextOpened(text=text, path=path, content=content) if file.text is not None:
                file.path = path
                file.switched(text, content)
            case ef.TextOpened(text=text, content=content):
                corrections = file.opened(text, content)
                self._answer(self._answering.pop(file.holder, None))
                file.tell(corrections)
            case ef.TextRefused(reason=reason):
                number = self._answering.pop(file.holder, None)
                self._close(file)
                self._refuse(number, file.uri, reason)
            case ef.EditRefused(reason=reason):
                file.refused(reason)
            case ef.TextChanged(edits=edits, origin=origin):
                file.changed(edits, origin)
            case ef.CursorsMoved(person=person, name=name, ranges=ranges):
                file.cursors(person, name, ranges)
            case _:
                pass  # an editor knows a file by the URI under which it opened it, wherever that is now

    def _close(self, file: OpenFile) -> None:
        del self._files[file.uri]
        if self._at == file.uri:
            self._at = None
        number = self._answering.pop(file.holder, None)
        if number is not None:
            self._refuse(number, file.uri, "it was closed, or opened once more, before it was open")
        self._detach(file.holder)

    def _open_file(self, uri: str) -> OpenFile | None:
        file = self._files.get(uri)
        return file if file is not None and file.text is not None else None

    # -- edits and cursors -------------------------------------------------------------------------------

    def _edit(self, number: Id, params: messages.EditParams) -> None:
        file = self._open_file(params.uri)
        if file is None:
            self._refuse(number, params.uri, "open it before you edit it")
            return
        reason = file.edit(params)
        if reason is None:
            self._answer(number)
        else:
            self._refuse(number, params.uri, reason)
        file.again()

    def _cursor(self, number: Id, params: messages.CursorParams) -> None:
        file = self._open_file(params.uri)
        if file is None:
            self._refuse(number, params.uri, "open it before you move in it")
            return
        before = None if self._at in (None, params.uri) else self._open_file(self._at or "")
        if before is not None:
            before.leave()
        self._at = params.uri
        file.place(params)
        self._answer(number)

    # -- answers ------------------------------------------------------------------------------------------

    def _answer(self, number: Id) -> None:
        if number is not None:
            self._send(answers.answer(number))

    def _refuse(self, number: Id, uri: str, reason: str) -> None:
        if number is not None:
            self._send(answers.error(number, answers.REFUSED, f"{printable(uri, 200)}: {reason}"))
