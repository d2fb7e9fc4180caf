"""Bounds that only the hub knows, each derived from a limit of the product or given with its reason."""

from __future__ import annotations

from typing import Final

from crdtsync.core.values import limits
from crdtsync.core.values.limits import KiB, MiB

UPDATE_MAX_BYTES: Final = limits.FRAME_MAX_BYTES - 64 * KiB
"""One update. A relay wraps it in a few bytes more than a push does, and must fit a frame too."""
CHECK_INLINE_MAX_BYTES: Final = 8 * KiB
"""Larger pushes are checked by a worker: parsing them would hold up everyone else's keystrokes."""
QUEUE_LOW_BYTES: Final = limits.FRAME_BATCH_BYTES
"""A member reads on in the log when its outgoing queue is below this: one page waits, one is being read."""
QUEUE_HIGH_BYTES: Final = limits.MEMBER_QUEUE_MAX_BYTES
SHORT_ANSWER_BYTES: Final = limits.CONTROL_MAX_BYTES
"""An answer to a Yjs client that a full queue takes, too: the client is not read from until it has room."""
UNCOMMITTED_MAX_BYTES: Final = 4 * limits.MEMBER_QUEUE_MAX_BYTES
"""When the disk cannot keep up, members are not read from until it has."""
PUT_OFF_MAX_S: Final = 0.05
"""For so long others are told first before what a client's first character leads to is done."""
LATE_PER_TURN: Final = 4
"""Then so many in each turn, about 2 ms of it."""
PROBES_MAX: Final = 64
"""Unanswered probes of one member, beyond which it is not read from."""
OWED_MAX: Final = 2 * limits.MEMBERS_PER_ROOM_MAX
"""Notices about other members kept for one that does not read; beyond this it is let go."""
SHOWN_LATER_MAX: Final = 10_000
"""Updates of a client that was asked to show all that it has, before it does: hours of typing."""
TELL_EVERY_S: Final = 0.05
"""Presence and commits are told to the other members at once, then at most this often."""
EPOCHS_KEPT: Final = 1000
"""Epochs remembered per room; a replica away for longer compares instead of resuming."""
OPENED_PER_ROOM_MAX: Final = 2000
"""Texts that a Yjs client opened at a path, remembered over a restart: some 200 bytes each."""
COMPACT_AFTER_BYTES: Final = 1 * MiB
COMPACT_AFTER_GROWTH: Final = 4
"""A document is also compacted when its rows hold this many times what they held after the last time."""
COMPACT_AFTER_SHARE: Final = 8
"""A large document waits until this share of it is new, or for this many times the rows: it costs as much to
compact as it is large."""
AHEAD_MAX_BYTES: Final = 8 * KiB
"""In which a client types on, whatever its document is called; a longer frame is read once."""
COMPACTIONS_WAITING_MAX: Final = 10_000
"""Documents in the queue for compaction; one left out comes back with its next update."""
COMPACTION_WAITS_ROWS: Final = 4096
"""For a member that is further behind with its reading, compaction of what it has not read does not wait."""
RESEED_WAIT_S: Final = 20.0
"""So long after its first connection a hub has a Yjs client wait, if it holds a text that folders know and
the hub does not: they bring what a restored hub lacks, at the latest after ``RECONNECT_MAX_S``. y-websocket
gives up a connection on which nothing came for 30 s."""
REST_AFTER_S: Final = 2.0
"""In a room with Yjs clients in which nothing has happened for so long, what only a change of its tree needs
is kept encoded, instead of in 20 kB."""
REST_ENTRIES_MAX: Final = 1000
"""So many take 1 ms to encode and 2 ms to read again; a larger tree would be felt by others."""
TREE_SLICE_BYTES: Final = 24 * KiB
"""Of a room's tree, with some 160 for each entry. Takes 4 to 6 ms, or 10 row by row: the tree is read between
other rooms' keystrokes."""
RESTING_PER_TICK_MAX: Final = 64
"""Rooms that begin to rest before anything else is done: 40 us each, with a few files."""
