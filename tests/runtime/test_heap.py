"""Memory that holds nothing any more goes back to the system, once for each time that it grew."""

from __future__ import annotations

import ctypes

import pytest

from crdtsync.adapters.heap import GROWN_BYTES, LEFT_BYTES, Heap, resident_bytes

PIECES = 100_000
PIECE_BYTES = 1000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_what_was_freed_between_things_in_use_is_given_back() -> None:
    heap = Heap()
    assert heap.give_back()
    before = resident_bytes()
    pieces = [bytes(PIECE_BYTES) for _ in range(PIECES)]
    grown = resident_bytes() - before
    assert grown > PIECES * PIECE_BYTES // 2
    kept = pieces[::500]
    del pieces
    heap.give_back()
    assert resident_bytes() - before < grown // 2
    assert len(kept) == PIECES // 500


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_nothing_is_done_when_the_process_has_not_grown() -> None:
    heap = Heap()
    assert heap.give_back()
    assert not heap.give_back()
    more = bytearray(b"x" * (2 * GROWN_BYTES))
    assert heap.give_back()
    assert len(more) == 2 * GROWN_BYTES


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_after_much_was_freed_it_is_tried_though_the_process_has_not_grown() -> None:
    heap = Heap()
    assert heap.give_back()
    assert heap.give_back(at_once=True)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_less_is_given_back_once_the_process_grows_no_more() -> None:
    heap = Heap()
    assert heap.give_back()
    more = b"x" * (LEFT_BYTES + LEFT_BYTES // 2)
    assert not heap.give_back()
    assert heap.give_back()
    assert not heap.give_back()
    assert len(more) > LEFT_BYTES
