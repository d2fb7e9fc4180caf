"""With which close code a document ends: 4400 to 4499 tell a client that coming back is of no use."""

from __future__ import annotations

MALFORMED, NOT_FOUND, OTHER_HISTORY, TOO_LARGE, TRY_AGAIN = 4400, 4404, 4409, 4413, 1013
