"""What fingerprints tell of files without their being read."""

from __future__ import annotations

import pytest

from crdtsync.core.values.files import Fingerprint

SEEN = Fingerprint(1, 2, 30, 1_700_000_000_123_456_789, 1_700_000_005_123_456_789, executable=False)


@pytest.mark.parametrize(
    ("here", "unwritten"),
    [
        (SEEN, True),
        (SEEN._replace(size_bytes=7), True),
        (SEEN._replace(mtime_ns=SEEN.mtime_ns - 1, ctime_ns=SEEN.ctime_ns - 1), True),
        (SEEN._replace(mtime_ns=SEEN.mtime_ns + 1), False),
        (SEEN._replace(mtime_ns=SEEN.mtime_ns - 1, ctime_ns=SEEN.ctime_ns + 1), False),
        (SEEN._replace(ctime_ns=1_700_000_004_000_000_000), False),
    ],
)
def test_a_file_no_newer_than_it_was_seen_was_written_by_nobody_since(
    here: Fingerprint, unwritten: bool
) -> None:
    """A tool may set the mtime back, but not the ctime; whole seconds tell nothing."""
    assert here.unwritten_since(SEEN) is unwritten
    assert not here.unwritten_since(None)
