"""Every bound of the product, with its unit and its reason; nothing else knows a limit by heart."""

from __future__ import annotations

from typing import Final

KiB: Final = 1024
MiB: Final = 1024 * KiB
GiB: Final = 1024 * MiB

# -- text -----------------------------------------------------------------------------------------
TEXT_BECOMES_MAX_BYTES: Final = 4 * MiB
"""A file above this does not become a text: its history would cost more than it gives."""
TEXT_REMAINS_MAX_BYTES: Final = 16 * MiB
"""A text above this becomes a blob; the gap to the bound above keeps a growing file from flapping."""

# -- programs that have a text open -----------------------------------------------------------------
UNDO_STEPS_MAX: Final = 1000
"""Of one open text; the oldest are forgotten."""
CHANGES_QUEUED_MAX: Final = 64
"""Changes that a slow reader of an open text finds one by one; what comes beyond is put together."""
EVENTS_QUEUED_MAX: Final = 1000
"""Events that a slow reader finds; older ones are left out."""

EDITOR_BEHIND_S: Final = 2.0
"""How long after an editor was told of a change it may still save its text without it."""
EDITOR_SAVES_WITHIN_S: Final = 1.0
"""An editor that has a text open may write the file itself; after this long it is written for it."""
SETTLE_SAVE_S: Final = 0.1
"""A save of a text that an editor has open is read after this long: the last keystrokes may be behind it."""

# -- the editor protocol ----------------------------------------------------------------------------
URI_MAX_CHARS: Final = 16 * KiB
"""A path with every byte escaped."""
EDITOR_LINE_MAX_BYTES: Final = 64 * MiB
"""One message: a text at its limit, each character of which may be escaped."""
EDITS_PER_MESSAGE_MAX: Final = 10_000
EDITOR_FILES_MAX: Final = 1000
"""Open on one connection."""
EDITOR_CONNECTIONS_MAX: Final = 32
EDITS_UNTAKEN_MAX: Final = 20_000
"""Edits that an editor was told of and has not said to have applied: one that only reads never does."""
EDITOR_QUEUE_MAX_BYTES: Final = 64 * MiB
"""Written to an editor and not read by it; then it is dropped."""

# -- programs that use a joined folder from outside -------------------------------------------------
PROGRAM_LINE_MAX_BYTES: Final = 128 * MiB
"""One message: a text at its limit, or the list of all files of a room."""
PROGRAM_QUEUE_MAX_BYTES: Final = 256 * MiB
"""Written to a program and not read by it; then it is dropped."""
PROGRAM_CONNECTIONS_MAX: Final = 64
PROGRAM_REQUESTS_MAX: Final = 1000
"""Open at a time, on one connection; so are those below."""
PROGRAM_STREAMS_MAX: Final = 100
PROGRAM_TEXTS_MAX: Final = 1000

# -- recent versions of a text (the bases of stale editor buffers) ----------------------------------
VERSIONS_MAX_COUNT: Final = 16
VERSIONS_MAX_AGE_S: Final = 30 * 60.0
VERSIONS_MAX_BYTES: Final = 16 * MiB
OLDER_BASES_MAX_COUNT: Final = 16_384
"""Texts saved from an older version while the hub is away, of which it is remembered which: 6 MB at most."""
VERSIONS_MAX_PATHS: Final = 1024
"""Paths of removed texts that are remembered: a buffer may be saved where another file stands by then."""

# -- settling of disk changes -----------------------------------------------------------------------
SETTLE_DELETION_S: Final = 0.3
"""Editors save by delete-and-create and by rename aside; an absence counts only after this long."""
SETTLE_NEW_S: Final = 0.03
"""Where nothing was, a file is read after this long: ``sed -i`` and others write under a passing name, and
rename it over the real one; nobody else should ever see that name."""
SETTLE_QUIET_S: Final = 0.05
"""Bare writes without a close are read after this much quiet."""
SETTLE_QUIET_MAX_S: Final = 1.0
"""A file written to without a pause (a log) is read at least this often."""
SETTLE_EMPTIED_AFTER_CLOSE_S: Final = 2.0
SETTLE_EMPTIED_MAX_S: Final = 10.0

ROOT_LOOK_AGAIN_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 3.1)
"""Pauses between looks at a joined folder that cannot be looked at, since its permissions are being changed,
or a disk or network stutters. Ten seconds in all, then it counts as gone."""

EVENTS_WAITING_MAX: Final = 50_000
"""Above this hints of the watcher are dropped, and the folder is scanned once they can be taken again."""

# -- writing texts ----------------------------------------------------------------------------------
REST_AFTER_WRITE_S: Final = 0.03
"""A text is written to disk at most this often: a person does not see the difference, a disk does."""

# -- displaced files --------------------------------------------------------------------------------
DISPLACED_MIN_S: Final = 5.0
DISPLACED_MAX_S: Final = 10 * 60.0

# -- trash ------------------------------------------------------------------------------------------
TRASH_MAX_AGE_S: Final = 30 * 24 * 3600.0
TRASH_MAX_BYTES: Final = 1 * GiB

# -- mass deletion ----------------------------------------------------------------------------------
MASS_DELETION_MIN_ENTRIES: Final = 10
"""Over half of the entries and at least this many ..."""
MASS_DELETION_ALL_MIN_ENTRIES: Final = 5
"""... or all of at least this many are held for confirmation."""

# -- names ------------------------------------------------------------------------------------------
PATH_MAX_BYTES: Final = 4096 - 256
"""A room-relative path in UTF-8: leaves room for the folder it is joined to below Linux's PATH_MAX."""
NAME_MAX_BYTES: Final = 255
PATH_MAX_DEPTH: Final = 128
ROOM_NAME_MAX_CHARS: Final = 128
PERSON_NAME_MAX_CHARS: Final = 32
"""As it is shown, and as it stands in the name of a conflict copy."""
PERSON_NAME_SENT_MAX_CHARS: Final = 4 * PERSON_NAME_MAX_CHARS
"""As it travels: what is longer is cut before it is sent, and no name to whoever receives it."""
TOKEN_MAX_CHARS: Final = 4096
"""Of an invite or of whoever embeds a hub; ours have about 200."""
LINK_TARGET_MAX_BYTES: Final = 4096

# -- blobs ------------------------------------------------------------------------------------------
CHUNK_MIN_BYTES: Final = 32 * KiB
CHUNK_AVERAGE_BYTES: Final = 128 * KiB
CHUNK_MAX_BYTES: Final = 512 * KiB
BLOB_MAX_BYTES: Final = 64 * GiB
"""Its index stays below MANIFEST_MAX_BYTES at the average chunk size."""
MANIFEST_MAX_BYTES: Final = 32 * MiB

STEPS_UNDER_WAY_MAX: Final = 1024
STEPS_UNDER_WAY_MAX_BYTES: Final = 32 * MiB
"""Texts that wait to be written to disk: the others stay encoded until some of these stand."""
HUB_FREE_MIN_BYTES: Final = 256 * MiB
"""Chunks leave this free on the hub's disk, for the log of updates ..."""
HUB_FREE_SHARE: Final = 20
"""... or this part of a small disk (5 %)."""

# -- the wire ---------------------------------------------------------------------------------------
FRAME_MAX_BYTES: Final = 32 * MiB
"""The largest websocket message either side accepts: a text at its limit with its history."""
FRAME_BATCH_BYTES: Final = 256 * KiB
"""Batches of updates are cut at this size, so that one frame never delays the next for long."""
CONTROL_MAX_BYTES: Final = 64 * KiB
DOCUMENTS_PER_BATCH_MAX: Final = 4096
MEMBER_QUEUE_MAX_BYTES: Final = 8 * MiB
"""Above this a slow reader is dropped to its cursor and reads on from the log."""
FRAGMENTS_MAX: Final = 10_000
"""Of one websocket message: fragments may be empty, so their size is no bound."""
UNHEARD_MAX_BYTES: Final = 4 * MiB
"""Of one connection's messages that the hub has not come to; above it no more is read from its socket."""
UNREAD_MAX_BYTES: Final = 4 * MiB
"""Written to one socket and not taken by the network: the hub's own frames wait before this, answers to pings
do not."""
RECEIVED_MAX_BYTES: Final = 8 * MiB
"""A replica that has not taken in this much of what arrived reads no further; the hub sees a slow reader."""
HELLO_TIMEOUT_S: Final = 10.0
HEARTBEAT_S: Final = 15.0
HEARTBEAT_TIMEOUT_S: Final = 20.0
IN_FLIGHT_MAX_BYTES: Final = 16 * MiB
"""A replica reads no further files while the hub has yet to acknowledge this much of what it sent."""
MEMBERS_PER_ROOM_MAX: Final = 1000
ROOMS_PER_HUB_MAX: Final = 100_000
DOCUMENTS_PER_ROOM_MAX: Final = 2_000_000
ROOM_UPDATES_MAX_BYTES: Final = 16 * GiB
"""Texts and tree of one room with their histories, as the hub keeps them."""
ROOM_CHUNKS_MAX_BYTES: Final = 1024 * GiB
"""Chunks of one room's blobs, of old versions too."""
CONNECTIONS_MAX: Final = 20_000
"""Of one hub: each costs a file descriptor and some 50 kB."""
CONNECTIONS_BEFORE_HELLO_MAX: Final = 1000
"""Of those, as long as they have not been let into a room."""
CONNECTIONS_PER_ADDRESS_MAX: Final = 2000
"""An office behind one address; this machine itself is not bounded by itself."""
UNKNOWN_PER_ADDRESS_MAX: Final = 64
"""Of those, as long as they have not been let into a room."""
REQUESTS_PER_ADDRESS_BURST: Final = 500
REQUESTS_PER_ADDRESS_PER_S: Final = 20
"""Connections that an address may open, and requests it may make: so many at once, then so many a second."""
ADDRESSES_KEPT_MAX: Final = 50_000
"""Addresses remembered for their rate, besides those with a connection."""
INVITES_MAX: Final = 10_000
"""Of one hub; the file that lists them is read as a whole."""
INVITE_LISTED_S: Final = 30 * 24 * 3600.0
"""An invite that has ended is listed this much longer."""
FAILED_ATTEMPTS_FREE: Final = 3
"""So many wrong tokens of one address are answered at once: people mistype."""
FAILED_ATTEMPT_FIRST_S: Final = 0.25
FAILED_ATTEMPT_MAX_S: Final = 5.0
"""From there on each answer is held back twice as long as the one before, up to this."""
FAILED_ATTEMPTS_FORGOTTEN_S: Final = 60.0
FAILED_ATTEMPTS_KEPT_MAX: Final = 10_000
"""Addresses remembered."""
PRESENCE_MAX_BYTES: Final = 4 * KiB
PRESENCE_WANTED_MAX: Final = 8
"""Blobs that a member asks the others for at a time."""
PRESENCE_EVERY_S: Final = 0.05
"""So often at most is a moved cursor told."""
PRESENCE_RANGES_MAX: Final = 32
"""Cursors and selections of one person in one text."""
PRESENCE_PATHS_MAX: Final = 8
EDITING_SHOWN_S: Final = 60.0
"""How long a person counts as editing a path after a save of it."""

# -- doors for Yjs clients --------------------------------------------------------------------------
AWARENESS_CLIENTS_MAX: Final = 1024
"""Clients in one awareness update: each client tells of all that it has just heard of."""
AWARENESS_CLIENTS_PER_CONNECTION_MAX: Final = 16
"""Clients that one connection may bring to one document: an ordinary one is one."""
AWARENESS_STATE_MAX_CHARS: Final = 16 * KiB
"""A name, a colour and some cursors; every client of the document keeps it."""
AWARENESS_BURST: Final = 300
AWARENESS_PER_S: Final = 100
"""Awareness messages of one client about one document, each of which goes to all others: a mouse moves 60
times a second. What comes faster is left out."""
AWARENESS_RENEW_S: Final = 15.0
"""Yjs clients forget a state after 30 s, and leave a connection on which 30 s nothing came."""
AWARENESS_REPLICAS_MAX: Final = 100
"""Folder replicas shown to the clients of one document."""
DOCUMENT_NAME_MAX_CHARS: Final = PATH_MAX_BYTES + ROOM_NAME_MAX_CHARS + 256
"""Room, path and session."""
DOCUMENTS_PER_CONNECTION_MAX: Final = 1000
"""Documents that one Hocuspocus connection may have open."""
OPEN_TEXTS_MAX: Final = 10_000
"""Documents open at the doors of a hub, each kept decoded: about 15 kB each and twice their text."""

# -- reconnecting -----------------------------------------------------------------------------------
RECONNECT_FIRST_S: Final = 0.1
RECONNECT_MAX_S: Final = 15.0

# -- background work --------------------------------------------------------------------------------
COMPACT_AFTER_UPDATES: Final = 500
"""A document's log is compacted once it has this many updates."""
COMPACT_TREE_AT_END_UPDATES: Final = 16
"""The tree's log, at a clean end, from this many on: the next start then need not read them one by one."""
DOCUMENTS_WARM_MAX: Final = 256
"""Documents kept decoded in memory; the others stay encoded in the store."""
DOCUMENTS_WARM_MAX_BYTES: Final = 32 * MiB
UNWRITTEN_TEXTS_MAX_BYTES: Final = 64 * MiB
"""Texts that arrived and wait to be written, so that they need not be read from the store again: all of
a large project's first join. They are let go of as they are written."""
REHASH_PERIOD_S: Final = 24 * 3600.0
"""Each file is hashed again about this often, in case a tool restored all of its times."""
TREE_RESTS_FROM_ENTRIES: Final = 2000
"""A tree document of fewer is kept as it is: it has some 1.5 kB of memory for each, a tenth when encoded."""
TREE_RESTS_AFTER_S_PER_ENTRY: Final = 0.001
"""Without a change. To load it again takes 4 µs for each, and so at most half a percent of the time."""
