"""Two ends of a text, over channels that keep the order and are as slow as they like."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.jupiter import JupiterEnd


class End:
    def __init__(self, text: str, *, first: bool) -> None:
        self.text = text
        self.jupiter = JupiterEnd(first=first)
        self.sent: deque[tuple[int, tuple[Edit, ...]]] = deque()

    def edit(self, edits: tuple[Edit, ...]) -> None:
        self.text = apply_edits(self.text, edits)
        self.jupiter.make(edits)
        self.sent.append((self.jupiter.taken, edits))

    def take(self, taken: int, edits: tuple[Edit, ...]) -> None:
        self.text = apply_edits(self.text, self.jupiter.take(taken, edits))


@given(st.data())
def test_both_ends_show_the_same_once_all_has_arrived(data: st.DataObject) -> None:
    ends = [End("0123456789", first=True), End("0123456789", first=False)]
    for number in range(data.draw(st.integers(0, 30))):
        end, other = data.draw(st.permutations(ends))
        arrives = data.draw(st.booleans())
        if other.sent and arrives:
            end.take(*other.sent.popleft())
            continue
        cuts = sorted(data.draw(st.lists(st.integers(0, len(end.text)), min_size=2, max_size=4)))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
        end.edit(tuple(Edit(start, stop, f"<{number}.{at}>") for at, (start, stop) in enumerate(pairs)))
    for end, other in (ends, ends[::-1]):
        while other.sent:
            end.take(*other.sent.popleft())
    assert ends[0].text == ends[1].text


def test_of_two_insertions_at_one_place_that_of_the_first_end_comes_first() -> None:
    one, two = End("", first=True), End("", first=False)
    one.edit((Edit(0, 0, "a"),))
    two.edit((Edit(0, 0, "b"),))
    one.take(*two.sent.popleft())
    two.take(*one.sent.popleft())
    assert one.text == two.text == "ab"


def test_a_cursor_of_the_other_end_is_moved_by_what_it_has_not_taken() -> None:
    end = End("0123", first=True)
    end.edit((Edit(0, 0, "ab"),))
    assert end.jupiter.moved(0, 3) == 5
    end.edit((Edit(0, 0, "c"),))
    assert end.jupiter.moved(1, 3) == 4
    assert end.jupiter.untaken == 1


@pytest.mark.parametrize("taken", [-1, 0, 2])
def test_a_number_that_cannot_be_is_refused(taken: int) -> None:
    end = JupiterEnd(first=True)
    end.make((Edit(0, 0, "a"),))
    end.confirmed(1)
    with pytest.raises(ValueError, match="cannot have been taken"):
        end.take(taken, ())
