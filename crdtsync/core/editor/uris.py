"""The URIs by which editors name files, and the paths of the folder that they stand for.

What links lead to is looked up by a function that the runtime gives; an editor is always told its own URI.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from crdtsync.core.values.ids import printable

SCHEME = "file:///"


class BadUri(ValueError):
    """``reason`` names the URI and is for a person."""


def path_of(uri: str, root: str, real_path: Callable[[str], str]) -> str:
    """The path in the folder ``root`` (absolute, without links), which may be of nothing that exists.

    Raises BadUri.
    """
    shown = printable(uri, 200)
    if not uri.startswith(SCHEME):
        raise BadUri(f"{shown!r} does not begin with {SCHEME}")
    try:
        absolute = unquote_to_bytes(uri[len(SCHEME) - 1 :]).decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise BadUri(f"{shown!r} is not UTF-8 once it is decoded") from None
    if "\0" in absolute:
        raise BadUri(f"{shown!r} holds a NUL")
    try:
        path = real_path(absolute)
    except OSError as error:
        raise BadUri(f"{shown!r} cannot be looked up: {error.strerror}") from None
    inside = root.rstrip("/") + "/"
    if not path.startswith(inside):
        raise BadUri(f"{shown!r} is not inside the folder {printable(root)}")
    return path[len(inside) :]
