"""Asks a running replica, or a running hub, over its control socket; synchronous, and cheap to import.

Knows how a joined folder is found and how a line is asked and answered; methods are the callers' matter.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import FolderError, PeerError, class_named

SOCKET_NAME: Final = "socket"
PROGRAMS_SOCKET: Final = "programs"
ANSWER_MAX_BYTES: Final = 256 << 20
ANSWER_TIMEOUT_S: Final = 60.0
"""A replica that has just started may be busy reading a large state."""
_ADDRESS_MAX_BYTES: Final = 100
"""sockaddr_un holds 108 bytes on Linux and 104 elsewhere, with a final NUL."""


def find_joined(folder: str | os.PathLike[str]) -> Path:
    """The joined folder that ``folder`` is, or is in. Raises FolderError."""
    try:
        start = Path(os.path.realpath(folder))
    except ValueError:  # a NUL in it
        raise FolderError(f"{printable(str(folder))} can be the name of no folder") from None
    try:
        if not start.exists():
            raise FolderError(f"{printable(str(folder))} does not exist")
        for candidate in (start, *start.parents):
            if candidate.name != STATE_FOLDER and (candidate / STATE_FOLDER).is_dir():
                return candidate
    except PermissionError as error:
        raise FolderError(
            f"{printable(str(start))} cannot be read: permission denied; ask as who joined it"
        ) from error
    raise FolderError(
        f"{printable(str(start))} is not in a joined folder; join it with: crdtsync join ROOM DIR"
    )


@contextmanager
def socket_address(state_folder: Path, name: str = SOCKET_NAME) -> Iterator[str]:
    """An address of the socket ``name`` in ``state_folder`` that the system takes, however long the path is.

    It is good inside the ``with``. Raises OSError.
    """
    path = str(state_folder / name)
    if len(os.fsencode(path)) <= _ADDRESS_MAX_BYTES:
        yield path
        return
    folder_fd = os.open(state_folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder_fd}/{name}"
    finally:
        os.close(folder_fd)


def call(
    folder: str | os.PathLike[str],
    method: str,
    /,
    *,
    answer_within_s: float | None = ANSWER_TIMEOUT_S,
    **params: Any,
) -> Any:
    """Ask the replica that runs for ``folder``, or for a folder above it; returns the result.

    Raises FolderError when none runs or none answers in time, and otherwise the error that the replica told,
    as the class that it had there.
    """
    joined = find_joined(folder)
    who = f"The replica of {printable(str(joined))}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, joined / STATE_FOLDER)
        except OSError as problem:
            raise none_runs(joined, problem) from problem
        return _ask(connection, who, method, params, answer_within_s)


def call_hub(data: Path, method: str, /, **params: Any) -> Any:
    """Ask the hub that runs on the data folder; None when none does.

    Raises FolderError when it does not answer, and otherwise the error that it told.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, data)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as problem:
            raise FolderError(
                f"The hub of {printable(str(data))} cannot be asked: {problem.strerror}; ask as who runs it"
            ) from problem
        return _ask(connection, f"The hub of {printable(str(data))}", method, params, ANSWER_TIMEOUT_S)


def _connect(connection: socket.socket, folder: Path) -> None:
    connection.settimeout(ANSWER_TIMEOUT_S)
    with socket_address(folder) as address:
        connection.connect(address)


def _ask(
    connection: socket.socket, who: str, method: str, params: dict[str, Any], answer_within_s: float | None
) -> Any:
    request = json.dumps({"id": 1, "method": method, "params": params}) + "\n"
    connection.settimeout(answer_within_s)
    try:
        connection.sendall(request.encode("ascii"))
        line = _line(connection)
    except TimeoutError as problem:
        raise FolderError(
            f"{who} did not answer within {answer_within_s:g} s; it may be busy, or stopped"
        ) from problem
    except OSError as problem:
        raise FolderError(f"{who} ended before it answered ({problem.strerror})") from problem
    if not line:
        raise FolderError(f"{who} ended before it answered")
    return _result(line)


def none_runs(joined: Path, problem: OSError) -> FolderError:
    """Why the socket of a joined folder cannot be connected to, and what to do."""
    shown = printable(str(joined))
    if isinstance(problem, PermissionError):
        return FolderError(f"The replica of {shown} belongs to another user; ask as that one")
    return FolderError(
        f"no replica runs for {shown}; start one with: crdtsync join ROOM {shlex.quote(shown)}"
    )


def _line(connection: socket.socket) -> bytes:
    """Up to the end of the line; empty when the other side ends before."""
    pieces = []
    size_bytes = 0
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
        size_bytes += len(piece)
        if piece.endswith(b"\n"):
            return b"".join(pieces)
        if size_bytes > ANSWER_MAX_BYTES:
            raise PeerError(f"The replica's answer is longer than {ANSWER_MAX_BYTES} bytes")
    return b""


def _result(line: bytes) -> Any:
    try:
        answer = json.loads(line)
        if "error" not in answer:
            return answer["result"]
        message, code = str(answer["error"]["message"]), str(answer["error"]["code"])
    except (ValueError, KeyError, TypeError) as problem:
        raise PeerError(
            "The replica's answer cannot be understood; it may be of another version of crdtsync:"
            " end it and join again"
        ) from problem
    raise class_named(code)(message)
