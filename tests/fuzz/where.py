"""Where the campaign keeps what it finds, and where Yjs is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crdtsync-fuzz"


def yjs_folder() -> Path | None:
    """The folder whose ``node_modules`` has Yjs; None without it or without Node."""
    folder = Path(os.environ.get("CRDTSYNC_YJS") or CACHE)
    found = shutil.which("node") is not None and (folder / "node_modules/yjs").is_dir()
    return folder if found else None
