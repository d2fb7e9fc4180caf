"""The exit codes of every command, and which error ends with which."""

from __future__ import annotations

from typing import Final

from crdtsync.errors import AccessDenied, CrdtsyncError, HubUnreachable, InvalidName, RootGone

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_HALTED: Final = 3
EXIT_DENIED: Final = 4
EXIT_UNREACHABLE: Final = 5


class UsageError(CrdtsyncError):
    """Words of a command line that do not go together, or one that is missing."""


_CODES: Final[tuple[tuple[type[CrdtsyncError], int], ...]] = (
    (UsageError, EXIT_USAGE),
    (InvalidName, EXIT_USAGE),
    (RootGone, EXIT_HALTED),
    (AccessDenied, EXIT_DENIED),
    (HubUnreachable, EXIT_UNREACHABLE),
)


def exit_code_of(error: CrdtsyncError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), EXIT_FAILED)
