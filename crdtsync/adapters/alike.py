"""Takes over what an earlier version of a blob still has where it was, so that neither is cut anew for it.

Most edits of a large file leave its beginning where it was, and its end as far from the end. Knows two open
files, and someone to ask for a chunk; one counts only when its bytes have its digest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, TypeAlias

from crdtsync.adapters.part_file import READ_BYTES, PartFile
from crdtsync.adapters.past_cache import BLOCK_BYTES, aligned_memory, past_cache
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Chunk

GIVE_UP_BYTES: Final = 8 * limits.MiB
"""After so much in a row that differs, the rest is taken for moved: to compare it would be in vain."""
NOT_WORTH_CUTTING: Final = 256
"""The other file is not cut for the sake of less than this part of the blob: cutting 1 GB takes as long as
to receive 4 MB over a good line, and an edit in place leaves nothing to be found elsewhere."""
ASKED_MAX: Final = 16
"""Chunks that are asked for at once, so that what stands behind them can be written, and hashed, in order."""
ASKED_S: Final = 2.0
"""So long they are waited for in all; without them the whole is read again to be hashed."""
_LOOK_S: Final = 0.05

Answer: TypeAlias = "Future[bytes | memoryview]"
Ask: TypeAlias = Callable[[Chunk], Answer]
"""Has a chunk brought from elsewhere, verified. To cancel that is harmless."""
_Span: TypeAlias = tuple[int, int]
"""The first of some chunks, and the one after the last."""


def take_alike(part: PartFile, fd: int, ask: Ask | None = None) -> bool:
    """Copy what stands as far from the start, or from the end, in the file open at ``fd``.

    Returns whether what is still missing is worth cutting that file for. The file may change meanwhile.
    Nobody else may read ``fd``. Raises OSError, InterruptedError as PartFile does.
    """
    shares = part.can_share(fd)
    if part.is_in_order and not shares:
        with past_cache(fd) as direct:
            _take(part, fd, shares, _Asked(part, ask), direct=direct)
    else:
        _take(part, fd, shares, _Asked(part, None), direct=False)
    part.repeat()
    return sum(chunk.size_bytes for chunk in part.missing()) * NOT_WORTH_CUTTING > part.size_bytes


def _take(part: PartFile, fd: int, shares: bool, asked: _Asked, *, direct: bool) -> None:
    buffers = _Buffer(direct), _Buffer(direct)
    try:
        for shift in dict.fromkeys((0, os.fstat(fd).st_size - part.size_bytes)):
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy") as writer:
                _Pass(part, fd, shift, shares, writer, asked, buffers).run(backwards=shift != 0)
    finally:
        asked.forget()


class _Buffer:
    """Memory that takes ``READ_BYTES`` from anywhere in a file, also where only whole blocks can be read."""

    def __init__(self, direct: bool) -> None:
        self._block_bytes = BLOCK_BYTES if direct else 1
        self._memory = aligned_memory(READ_BYTES + 2 * BLOCK_BYTES)

    def read(self, fd: int, offset: int, size_bytes: int) -> memoryview:
        """Valid until the next read. Shorter where the file ends before. Raises OSError."""
        lead = offset % self._block_bytes
        wanted = lead + size_bytes
        wanted += -wanted % self._block_bytes
        filled = os.preadv(fd, [self._memory[:wanted]], offset - lead)
        return self._memory[lead : max(lead, min(filled, lead + size_bytes))]


class _Asked:
    """Chunks that the other file lacks and that someone else was asked for."""

    def __init__(self, part: PartFile, ask: Ask | None) -> None:
        self._part = part
        self._ask = ask
        self._futures: dict[int, Answer] = {}
        self._wait_s = ASKED_S

    def ask(self, positions: list[int]) -> Mapping[int, Answer]:
        """Ask for these, or for none of them if they are too many."""
        if self._ask is None or len(self._futures) + len(positions) > ASKED_MAX:
            return {}
        asked = {position: self._ask(self._part.chunk(position)) for position in positions}
        self._futures |= asked
        return asked

    def answer(self, future: Answer) -> bytes | memoryview | None:
        """None: it cannot be had now. Raises InterruptedError."""
        begun_s = time.monotonic()
        end_s = begun_s + self._wait_s
        while not future.done() and time.monotonic() < end_s:
            self._part.check_stopped()
            wait([future], _LOOK_S)
        self._wait_s -= time.monotonic() - begun_s
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def forget(self) -> None:
        for future in self._futures.values():
            future.cancel()


class _Pass:
    """Compares all that is missing at one distance; reads and hashes while another thread writes."""

    def __init__(
        self,
        part: PartFile,
        fd: int,
        shift: int,
        shares: bool,
        writer: ThreadPoolExecutor,
        asked: _Asked,
        buffers: tuple[_Buffer, _Buffer],
    ) -> None:
        self._part = part
        self._fd = fd
        self._shift = shift
        self._shares = shares
        self._writer = writer
        self._asked = asked
        self._buffer, self._spare = buffers
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
        begin = min(max(start, -self._shift), end)
        data = self._buffer.read(self._fd, begin + self._shift, end - begin)
        same = [
            begin <= part.offset(position)
            and part.offset(position + 1) - begin <= len(data)
            and digest_of(data[part.offset(position) - begin : part.offset(position + 1) - begin])
            == part.chunk(position).digest
            for position in range(*run)
        ]
        matched = _spans(same, run[0])
        if matched:
            asked: Mapping[int, Answer] = {}
            if not backwards and same.count(False) < same.count(True):
                asked = self._asked.ask([position for position, one in enumerate(same, run[0]) if not one])
            self._wait()
            self._writing = self._writer.submit(self._write, matched, data, begin, asked)
            self._buffer, self._spare = self._spare, self._buffer
            if backwards:
                return matched, part.offset(matched[0][0]) - start
            return matched, end - part.offset(matched[-1][1])
        return matched, end - start

    def _write(
        self,
        spans: list[_Span],
        data: memoryview,
        begin: int,
        asked: Mapping[int, Answer],
    ) -> None:
        part = self._part
        waiting = list(asked.items())
        for first, after in spans:
            while waiting and waiting[0][0] < first:
                self._fill(*waiting.pop(0))
            at, end = part.offset(first), part.offset(after)
            if self._shares:
                part.copy_span(self._fd, at + self._shift, first, after)
            else:
                part.write_span(first, after, data[at - begin : end - begin])
        for position, future in waiting:
            self._fill(position, future)

    def _fill(self, position: int, future: Answer) -> None:
        answer = self._asked.answer(future)
        if answer is not None:
            self._part.write(self._part.chunk(position).digest, answer)

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
