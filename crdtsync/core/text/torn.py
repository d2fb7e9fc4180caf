"""What a power cut leaves of a text that was being saved: nothing, or only its beginning.

Pure judgement on texts; whether the power was cut at all is known to whoever asks.
"""

from __future__ import annotations

import codecs

from crdtsync.core.text.align import Budget, align


def looks_torn(base: str, left: str) -> bool:
    """Whether a save on top of ``base`` may have been cut off: it is empty, or ends in the middle of a line.

    A person who did just that while the replica was away, before the machine was started anew, does it again.
    """
    return base != left and (not left or (base.endswith("\n") and not left.endswith("\n")))


def mended(base: str, left: str) -> str:
    """The text of which only ``left`` was saved, with the end that it lacks taken from ``base``.

    What is missing from the end on was not deleted by anybody.
    """
    at = left.rfind("\n") + 1
    whole, broken = left[:at], left[at:]
    lines = base.splitlines(keepends=True)
    runs = align(lines, whole.splitlines(keepends=True), Budget())
    known = max((start + length for start, _, length in runs), default=0)
    end = "".join(lines[known:])
    if end.startswith(broken):
        broken = ""
    return whole + broken + ("\n" if broken else "") + end


def beginning(data: bytes) -> str | None:
    """The text that a file begins with of which the rest is zeros, or that ends inside a character.

    None if it is anything else.
    """
    left = data.rstrip(b"\0")
    if b"\0" in left:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(left)
    except UnicodeDecodeError:
        return None
