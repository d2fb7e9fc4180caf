"""Why a hub cannot listen where it should, for a person, with the next step."""

from __future__ import annotations

import errno
import socket

from crdtsync.core.values.ids import printable


def cannot_listen(host: str, port: int, error: OSError | OverflowError | UnicodeError) -> str:
    """``error``: of the attempt to listen at that address; an OverflowError where there is no such port."""
    where = f"{printable(host)} port {port}"
    if isinstance(error, OverflowError):
        return f"The hub cannot listen at {where}: there is no such port. Use 0 to 65535."
    if isinstance(error, UnicodeError):
        return f"The hub cannot listen at {where}: no machine can have that name. Check --host."
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"The hub cannot listen at {where}: another program does (a hub?). "
                "Stop it, or choose another port with --port (0 takes a free one)."
            )
        case errno.EACCES:
            return f"The hub cannot listen at {where}: not permitted. Choose a port above 1023 with --port."
        case errno.EADDRNOTAVAIL:
            return f"The hub cannot listen at {where}: this machine has no such address. Check --host."
        case _ if isinstance(error, socket.gaierror):
            return f"The hub cannot listen at {where}: the host has no address. Check --host."
        case _:
            return f"The hub cannot listen at {where}: {error.strerror or error}."
