"""What a replica knows at its start, made of what it remembers; what follows of it is left to the engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crdtsync.core.replica.after_crash import recall_doubts, recall_reboot
from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.housekeeping import AHEAD_KEY, BOOT_KEY, cursor_in
from crdtsync.core.replica.hub_side import TREE_ROWS_KEY
from crdtsync.core.replica.listener import Listener
from crdtsync.core.replica.looking import Looking
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import Recall, Remembered, confirmed
from crdtsync.core.replica.session import HubSession, Identity
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import DiskTree, SyncedTree
from crdtsync.core.replica.unaccepted import UnacceptedEdits
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.local_view import LocalView
from crdtsync.core.tree.view import RoomView
from crdtsync.core.values.folding import Folding
from crdtsync.core.values.ids import TREE, Randomness, new_client_id
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Begun:
    """``client_id``: the Yjs client that this run writes as. ``tree_rows``: how many the tree's log has."""

    state: ReplicaState
    client_id: int
    tree_rows: int


def begin(
    identity: Identity,
    remembered: Remembered,
    recall: Recall,
    rng: Randomness,
    ignored: Callable[[str], bool],
    boot: str | None,
    folding: Folding,
    listener: Listener,
) -> Begun:
    """As for ``ReplicaEngine``; ``listener`` is told what the session with the hub hears."""
    client_id = new_client_id(rng)
    agreed = (row for each in remembered.synced if (row := confirmed(each)) is not None)
    synced = SyncedTree(agreed, folding)
    out = Outbox()
    documents = Documents(client_id, recall, remembered.heads, synced, out)
    tree_log = list(recall.updates(TREE))
    snapshot = remembered.meta.get(TREE_ROWS_KEY, "")
    tree = TreeDocument(client_id, tree_log, synced.by_entry, snapshot, partial(recall.updates, TREE))
    session = HubSession(
        identity,
        listener,
        out,
        cursor_in(remembered.meta),
        [head.document for head in remembered.heads if head.dirty],
        remembered.meta.get(AHEAD_KEY, ""),
    )
    state = ReplicaState(
        name=identity.name,
        rng=rng,
        ignored=ignored,
        out=out,
        tree=tree,
        view=LocalView(RoomView(tree.rows, documents), folding),
        documents=documents,
        disk=DiskTree(),
        synced=synced,
        looking=Looking(),
        session=session,
        unaccepted=UnacceptedEdits(out),
    )
    state.unaccepted.recall(remembered.meta, recall)
    documents.unplaced = state.unaccepted.kept_apart
    last = remembered.meta.get(BOOT_KEY)
    recall_doubts(state, remembered.synced, same_boot=boot is not None and boot == last)
    recall_reboot(state, remembered.synced, boot, last)
    return Begun(state, client_id, len(tree_log))
