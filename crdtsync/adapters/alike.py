"""Takes over what an earlier version of a blob still has where it was, so that neither is cut anew for it.

Most edits of a large file leave its beginning where it was, and its end as far from the end. Knows two open
files; a chunk counts only when its bytes have its digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeAlias

from crdtsync.adapters.part_file import READ_BYTES, PartFile
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of

GIVE_UP_BYTES: Final = 8 * limits.MiB
"""After so much in a row that differs, the rest is taken for moved: to compare it would be in vain."""
NOT_WORTH_CUTTING: Final = 256
"""The other file is not cut for the sake of less than this part of the blob: cutting 1 GB takes as long as
to receive 4 MB over a good line, and an edit in place leaves nothing to be found elsewhere."""

_Span: TypeAlias = tuple[int, int]
"""The first of some chunks, and the one after the last."""


def take_alike(part: PartFile, fd: int) -> bool:
    """Copy what stands as far from the start, or from the end, in the file open at ``fd``.

    Returns whether what is still missing is worth cutting that file for. The file may change meanwhile.
    Raises OSError, InterruptedError as PartFile does.
    """
    size_bytes = os.fstat(fd).st_size
    shares = part.can_share(fd)
    for shift in dict.fromkeys((0, size_bytes - part.size_bytes)):
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy") as writer:
            _Pass(part, fd, shift, shares, writer).run(backwards=shift != 0)
    part.repeat()
    return sum(chunk.size_bytes for chunk in part.missing()) * NOT_WORTH_CUTTING > part.size_bytes


class _Pass:
    """Compares all that is missing at one distance; reads and hashes while another thread writes."""

    def __init__(self, part: PartFile, fd: int, shift: int, shares: bool, writer: ThreadPoolExecutor) -> None:
        self._part = part
        self._fd = fd
        self._shift = shift
        self._shares = shares
        self._writer = writer
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._spare = memoryview(bytearray(READ_BYTES))
        self._writing: Future[None] | None = None

    def run(self, *, backwards: bool) -> None:
        missed_bytes = 0
        for run in _runs(self._part, backwards=backwards):
            self._part.check_stopped()
            matched, last_bytes = self._compare(run, backwards=backwards)
            missed_bytes = last_bytes if matched else missed_bytes + last_bytes
            if missed_bytes > GIVE_UP_BYTES:
                break
        self._wait()

    def _compare(self, run: _Span, *, backwards: bool) -> tuple[list[_Span], int]:
        """The spans that match, which are being written, and how much differs behind the last of them."""
        part = self._part
        start, end = part.offset(run[0]), part.offset(run[1])
        # At a distance from the end, the first chunks may be from before the other file's beginning.
        lead = min(max(0, -start - self._shift), end - start)
        filled = lead + os.preadv(self._fd, [self._buffer[lead : end - start]], start + self._shift + lead)
        same = [
            lead <= part.offset(position) - start
            and part.offset(position + 1) - start <= filled
            and digest_of(self._buffer[part.offset(position) - start : part.offset(position + 1) - start])
            == part.chunk(position).digest
            for position in range(*run)
        ]
        matched = _spans(same, run[0])
        if matched:
            self._wait()
            self._writing = self._writer.submit(self._write, matched, self._buffer, start)
            self._buffer, self._spare = self._spare, self._buffer
            if backwards:
                return matched, part.offset(matched[0][0]) - start
            return matched, end - part.offset(matched[-1][1])
        return matched, end - start

    def _write(self, spans: list[_Span], buffer: memoryview, start: int) -> None:
        part = self._part
        for first, after in spans:
            at, end = part.offset(first), part.offset(after)
            if self._shares:
                part.copy_span(self._fd, at + self._shift, first, after)
            else:
                part.write_span(first, after, buffer[at - start : end - start])

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None


def _runs(part: PartFile, *, backwards: bool) -> Iterator[_Span]:
    """Missing chunks that follow each other, at most READ_BYTES together."""
    positions = range(part.count)
    position = 0
    while position < part.count:
        if part.is_present(_turned(positions, position, backwards)):
            position += 1
            continue
        first, size_bytes = position, 0
        while position < part.count and not part.is_present(_turned(positions, position, backwards)):
            chunk = part.chunk(_turned(positions, position, backwards))
            if position > first and size_bytes + chunk.size_bytes > READ_BYTES:
                break
            size_bytes += chunk.size_bytes
            position += 1
        yield (part.count - position, part.count - first) if backwards else (first, position)


def _turned(positions: range, position: int, backwards: bool) -> int:
    return positions[-1 - position] if backwards else position


def _spans(same: list[bool], first: int) -> list[_Span]:
    found: list[_Span] = []
    for position, one in enumerate(same, first):
        if one and found and found[-1][1] == position:
            found[-1] = (found[-1][0], position + 1)
        elif one:
            found.append((position, position + 1))
    return found
