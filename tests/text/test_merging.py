"""Updates put together say what they said one after the other."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.merging import MERGED_MAX_BYTES, merge_updates
from crdtsync.core.text.update import UpdateShape, check_update
from tests.text.updates import deletions, said, skip, structs, text, update


def shaped(updates: list[bytes]) -> list[tuple[bytes, UpdateShape | None]]:
    return [(each, check_update(each)) for each in updates]


class Person:
    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Text] = Doc(client_id=client_id)
        self.content = self.doc.get("content", type=Text)

    def edit(self, at: float, typed: str, erased: int) -> bytes:
        made: list[bytes] = []
        subscription = self.doc.observe(lambda event: made.append(event.update))
        start = int(at * len(self.content))
        with self.doc.transaction():
            if erased and start < len(self.content):
                del self.content[start : min(start + erased, len(self.content))]
            if typed:
                self.content.insert(start, typed)
        self.doc.unobserve(subscription)
        return made[0] if made else b"\0\0"


edits = st.tuples(
    st.integers(0, 2), st.floats(0, 1), st.text("abc", max_size=3), st.integers(0, 2), st.booleans()
)


@given(st.lists(edits, max_size=25))
@settings(max_examples=150, deadline=None)
def test_people_who_type_and_hear_each_other_now_and_then(
    done: list[tuple[int, float, str, int, bool]],
) -> None:
    people = [Person(client) for client in (7, 300, 5)]
    log: list[bytes] = []
    for who, at, typed, erased, hears in done:
        person = people[who]
        if hears:
            for each in log:
                person.doc.apply_update(each)
        log.append(person.edit(at, typed, erased))
    merged = merge_updates(shaped(log))
    assert len(merged) <= 1
    one, other = TextDocument(1, log), TextDocument(1, merged)
    assert (one.text, one.state_vector) == (other.text, other.state_vector)
    assert said(one.encode_state()) == said(other.encode_state())
    for each in merged:
        check_update(each)


def test_what_does_not_follow_begins_another_update() -> None:
    first = update([structs(5, 0, text("ab"))])
    second = update([structs(5, 2, text("c", (5, 1)))])
    third = update([structs(5, 3, text("d", (5, 2)))])
    assert len(merge_updates(shaped([first, second, third]))) == 1
    assert merge_updates(shaped([first, third, second])) == [first, third, second]
    assert merge_updates(shaped([first, first])) == [first, first]


def test_an_update_with_a_gap_and_one_that_waits_stay_alone() -> None:
    first = update([structs(5, 0, text("ab"))])
    gap = update([structs(5, 2, skip(3), text("c", (5, 1)))])
    assert merge_updates(shaped([first, gap])) == [first, gap]
    second = update([structs(5, 2, text("c", (5, 1)))])
    assert merge_updates([(first, check_update(first)), (second, None)]) == [first, second]


def test_deletions_are_joined() -> None:
    parts = [update([], [deletions(5, (0, 2))]), update([], [deletions(5, (1, 4))])]
    (merged,) = merge_updates(shaped(parts))
    assert check_update(merged).deletes == {5: ((0, 5),)}


def test_no_update_becomes_larger_than_a_batch() -> None:
    person = Person(5)
    log = [person.edit(1, "x" * (MERGED_MAX_BYTES // 3), 0) for _ in range(7)]
    merged = merge_updates(shaped(log))
    assert 1 < len(merged) < 7
    assert max(map(len, merged)) <= MERGED_MAX_BYTES
    assert TextDocument(1, merged).text == str(person.content)
