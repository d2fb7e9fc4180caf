"""Whether a link that stands well where it is may be renamed: relative ones lead elsewhere from elsewhere."""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.paths import link_leads_out


def leads_astray(state: ReplicaState, agreed: Synced, path: str) -> bool:
    """Whether it is a link that would lead out of the folder from ``path``, as far as can be told."""
    if agreed.kind is not Kind.LINK:
        return False
    row = state.tree.rows.get(agreed.entry)
    version = None if row is None or agreed.digest is None else row.versions.get(agreed.digest)
    return version is None or version.target is None or link_leads_out(path, version.target)


def edited_astray(state: ReplicaState, agreed: Synced, placed: Placement | None) -> bool:
    """Whether an edited link would be removed for the sake of its new name: what is new in it comes first."""
    return placed is not None and leads_astray(state, agreed, placed.path)
