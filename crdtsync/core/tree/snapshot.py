"""The rows of a tree as one string, so that a start need not load the tree document to know them.

Names the update that is all of the document: of any other it says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from crdtsync.core.tree.rows import NO_ORIGIN, NO_VERSIONS, Named, Origin, Row, Version
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import ENTRY_ID_BYTES, EntryId

FORMAT: Final = 1
_ID_CHARS: Final = 2 * ENTRY_ID_BYTES


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a document says."""

    rows: dict[EntryId, Row]
    state_vector: bytes


def encode_snapshot(rows: Mapping[EntryId, Row], update: bytes, state_vector: bytes) -> str:
    """JSON; ``update`` is all of the document.

    Nearly all rows are of plain texts, which go in columns; the others one by one. Each by path: whoever
    takes them in finds what stands in one folder together.
    """
    entries: list[str] = []
    paths: list[str] = []
    numbers: list[int] = []
    origins: dict[Origin, int] = {}
    others: list[list[Any]] = []
    for entry, row in sorted(rows.items(), key=_by_path):
        number = origins.setdefault(row.origin, len(origins))
        if row.path is not None and row == Row(row.path, Kind.TEXT, origin=row.origin):
            entries.append(entry)
            paths.append(row.path)
            numbers.append(number)
        else:
            gone = None if row.gone is None else row.gone.hex()
            versions = [_version_fields(version) for version in row.versions.values()]
            others.append([entry, row.path, row.kind, row.executable, gone, number, versions])
    return json.dumps(
        {
            "format": FORMAT,
            "update": digest_of(update),
            "vector": state_vector.hex(),
            "origins": [[origin.by, origin.at_ms, origin.copy_of] for origin in origins],
            "texts": ["".join(entries), paths, numbers],
            "others": others,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def decode_snapshot(text: str, update: bytes, known: Mapping[Any, Named]) -> Snapshot | None:
    """None if it is not of that update. ``known`` as for TreeDocument."""
    if not text.startswith(f'{{"format":{FORMAT},"update":"{digest_of(update)}",'):
        return None
    read = json.loads(text)
    same = known.get
    origins = [Origin(by, at_ms, copy_of) for by, at_ms, copy_of in read["origins"]]
    origins = [NO_ORIGIN if origin == NO_ORIGIN else origin for origin in origins]
    joined, paths, numbers = read["texts"]
    rows: dict[str, Row] = {}
    kind, at = Kind.TEXT, 0
    for path, number in zip(paths, numbers, strict=True):
        entry = joined[at : at + _ID_CHARS]
        at += _ID_CHARS
        if (one := same(entry)) is not None:
            entry = one.entry
            path = one.path if path == one.path else path
        rows[entry] = Row(path, kind, False, None, origins[number], NO_VERSIONS)
    for entry, path, kind_name, executable, gone, number, fields in read["others"]:
        versions = {version.digest: version for version in map(_version, fields)}
        if (one := same(entry)) is not None:
            entry = one.entry
            path = one.path if path == one.path else path
        rows[entry] = Row(
            path,
            None if kind_name is None else Kind(kind_name),
            executable,
            None if gone is None else bytes.fromhex(gone),
            origins[number],
            versions or NO_VERSIONS,
        )
    return Snapshot(cast("dict[EntryId, Row]", rows), bytes.fromhex(read["vector"]))


def _by_path(item: tuple[EntryId, Row]) -> tuple[str, EntryId]:
    return item[1].path or "", item[0]


def _version_fields(version: Version) -> list[Any]:
    return [version.digest, version.size_bytes, version.by, version.at_ms, version.index, version.target]


def _version(fields: list[Any]) -> Version:
    return Version(*fields)
