"""What is brought to a hub that lacks it, and what of that is taken out again, since another made it, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from crdtsync.core.replica.bringing import Bringing, Judgement, brought, with_inserts
from crdtsync.core.text.diff import Edit, diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.statevector import encode

BASE = "one\ntwo\n"
MARKED = "one [marked]\ntwo [marked]\n"


def log_of(*texts: str) -> list[bytes]:
    """The updates of one author whose text becomes each of these."""
    document = TextDocument(1)
    return [document.edit(diff(document.text, text)) for text in texts]


LOG = log_of("one\n", BASE, "one\ntwo\nthree\n")
FIRST = log_of(BASE)[0]


def made(client: int, text: str) -> bytes:
    """What this author made of the base."""
    document = TextDocument(client, [FIRST])
    return document.edit(diff(BASE, text))


MINE, THEIRS = made(2, MARKED), made(3, MARKED)


def clocks(*updates: bytes) -> Mapping[int, int]:
    """Of a hub that has these."""
    held: dict[int, int] = {}
    for update in updates:
        held = with_inserts(held, update)
    return held


def text_of(*updates: bytes) -> str:
    return TextDocument(0, updates).text


def twice(judgements: Iterable[Judgement]) -> list[bytes]:
    """What is to be taken out."""
    return [again for each in judgements if (again := each.twice())]


def test_rows_that_wait_for_others_cannot_be_set_apart() -> None:
    assert Bringing(LOG[1:], LOG[2:], {}).first() is None
    assert Bringing(LOG, [], {}).first() is None


def test_of_a_row_that_came_before_what_it_builds_on_nothing_is_taken_out() -> None:
    rows = [LOG[2], LOG[1]]
    bringing = Bringing([LOG[0], *rows], rows, {})
    assert twice(bringing.held()) == []
    assert text_of(bringing.first() or b"", *rows) == "one\ntwo\nthree\n"


def test_a_row_that_builds_on_another_row_is_brought_after_it() -> None:
    bringing = Bringing(LOG, LOG[1:], {})
    first = bringing.first() or b""
    assert text_of(first) == "one\n" and twice(bringing.held()) == []
    assert text_of(first, *LOG[1:]) == "one\ntwo\nthree\n"


@pytest.mark.parametrize("log", [[FIRST, MINE, THEIRS], [FIRST, THEIRS, MINE]])
def test_what_a_hub_has_by_another_is_taken_out_whoever_came_here_first(log: list[bytes]) -> None:
    bringing = brought(log, [], clocks(FIRST, THEIRS))
    assert bringing is not None
    [again] = twice(bringing.held())
    assert text_of(*log, again) == MARKED == text_of(FIRST, THEIRS, again)


def test_who_had_no_place_yet_judges_by_itself() -> None:
    log = [FIRST, MINE, THEIRS]
    assert brought(log, [MINE], clocks(FIRST, THEIRS)) is None
    bringing = Bringing(log, [MINE], clocks(FIRST))
    assert twice(bringing.held([MINE])) == []
    assert twice(bringing.place(THEIRS, [MINE], ours=False)) == []
    assert twice(bringing.place(MINE, [MINE], ours=True)) == []
    assert bringing.ended


@pytest.mark.parametrize("at_once", [False, True])
def test_of_what_we_bring_the_later_one_is_taken_out(at_once: bool) -> None:
    log = [FIRST, MINE, THEIRS]
    bringing = brought(log, [], clocks(FIRST))
    assert bringing is not None
    placed = [TextDocument(0, log).diff_update(b"\0")] if at_once else [MINE, THEIRS]
    again = [each for update in placed for each in twice(bringing.place(update, [], ours=True))]
    assert bringing.ended and len(again) == 1
    assert text_of(*log, *again) == MARKED == text_of(FIRST, MINE, *again)


def test_of_what_others_bring_at_once_nobody_can_tell_what_came_first() -> None:
    log = [FIRST, MINE, THEIRS]
    bringing = brought(log, [], clocks(FIRST))
    assert bringing is not None
    assert twice(bringing.place(TextDocument(0, log).diff_update(b"\0"), [], ours=False)) == []
    assert bringing.ended


def test_of_what_is_in_one_update_here_a_hub_may_have_a_part() -> None:
    """Nothing waits for ever, which would have all that comes kept beside it."""
    whole = TextDocument(0, [FIRST, MINE])
    bringing = brought([whole.encode_state()], [], clocks(FIRST))
    assert bringing is not None and not bringing.ended
    assert twice(bringing.place(whole.diff_update(encode(clocks(FIRST))), [], ours=True)) == []
    assert bringing.ended


def test_what_is_taken_out_already_is_not_there_twice() -> None:
    """They took theirs back; ours stays, whichever a hub has."""
    document = TextDocument(3, [FIRST, MINE, THEIRS])
    back = document.edit(diff(document.text, MARKED)) if document.text != MARKED else b""
    assert back and text_of(FIRST, MINE, THEIRS, back) == MARKED
    log = [FIRST, MINE, THEIRS, back]
    for held in (clocks(FIRST, MINE), clocks(FIRST, THEIRS)):
        bringing = brought(log, [], held)
        assert bringing is not None
        assert text_of(*log, *twice(bringing.held())) == MARKED


def test_a_keystroke_is_meant_as_it_is() -> None:
    typed = made(2, "one!\ntwo\n"), made(3, "one!\ntwo\n")
    log = [FIRST, *typed]
    assert brought(log, [], clocks(FIRST, typed[1])) is None
    bringing = Bringing(log, typed, clocks(FIRST))
    assert [twice(bringing.place(each, [], ours=True)) for each in typed] == [[], []]


def test_who_brought_a_line_back_after_it_was_replaced_has_it_once() -> None:
    """The hub has the first of three saves in a row."""
    there, away = "one\nthe line in between\ntwo\n", "one\nanother line here\ntwo\n"
    document = TextDocument(2, [FIRST])
    log = [FIRST, *(document.edit(diff(document.text, text)) for text in (there, away, there))]
    bringing = brought(log, [], clocks(*log[:2]))
    assert bringing is not None
    again = twice(bringing.held())
    for update in log[2:]:
        again += twice(bringing.place(update, [], ours=True))
    assert text_of(*log, *again) == there


def test_what_was_saved_within_a_line_that_another_had_broken_is_there_once() -> None:
    """What it was put next to is of before that."""
    page = TextDocument(2)
    first = page.edit(diff("", "breakfast of text\n"))
    broken = page.edit([Edit(5, 5, "\n- ")])
    saves = [
        TextDocument(client, [first, broken]).edit(diff(page.text, "break\n- line of bread t\n"))
        for client in (3, 4)
    ]
    log = [first, broken, *saves]
    assert text_of(*log) == "break\n- line of bread line of bread t\n"
    again = Judgement(saves[0], [first, broken, saves[1]], log).twice()
    assert text_of(*log, again) == "break\n- line of bread t\n"
