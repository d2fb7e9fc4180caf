"""Which former text of the room a file was made from, as far as the log of its updates tells."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Text

from crdtsync.core.replica import passed
from crdtsync.core.replica.passed import Moment, lineage_of, moment_of, was_text
from crdtsync.core.replica.records import Synced
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.statevector import decode, with_clock
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.errors import MalformedUpdate

FIRST, SECOND, THIRD = "one here\n", "one here\ntwo there\n", "one here\ntwo there\nthree more\n"


def history(*texts: str) -> tuple[list[bytes], list[bytes]]:
    """The updates that make each text of the last, and the state vectors that it had then."""
    document, log, vectors = TextDocument(1), list[bytes](), list[bytes]()
    for text in texts:
        log.append(document.edit(diff(document.text, text)))
        vectors.append(document.state_vector)
    return log, vectors


LOG, VECTORS = history(FIRST, SECOND, THIRD)
AGREED = Synced(EntryId("ab" * 12), "a.md", Kind.TEXT, digest_of_text(FIRST), False, VECTORS[0], None)


def found(saved: str, *, torn: bool = False, log: list[bytes] = LOG) -> Moment | None:
    return moment_of(log, AGREED, FIRST, saved, torn=torn)


def test_a_text_that_the_room_had_since_is_found_and_so_is_an_edit_of_it() -> None:
    assert found(SECOND) == Moment(SECOND, VECTORS[1])
    assert found("zero\n" + SECOND) == Moment(SECOND, VECTORS[1])
    assert found(THIRD + "four\n") == Moment(THIRD, VECTORS[2])
    assert found(FIRST + "something else\n") is None


def test_the_beginning_of_a_later_text_is_that_text_where_a_power_cut_may_have_torn_it() -> None:
    beginning = THIRD[: len(SECOND) + 5]
    assert found(beginning, torn=True) == Moment(THIRD, VECTORS[2])
    assert found(beginning) == Moment(SECOND, VECTORS[1])


def test_of_very_long_texts_the_latest_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed, "_COMPARED_MAX_CHARS", len(THIRD))
    assert found("zero\n" + SECOND) is None
    assert found("zero\n" + THIRD) == Moment(THIRD, VECTORS[2])
    assert found(SECOND) == Moment(SECOND, VECTORS[1]), "what is equal needs no comparing"


def test_of_a_very_long_log_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed, "_READ_MAX_CHARS", len(FIRST) + len(SECOND))
    monkeypatch.setattr(passed, "_STEPS_MAX", 1)
    assert found(SECOND) == Moment(SECOND, VECTORS[1])
    assert found(THIRD) == Moment(SECOND, VECTORS[1]), "an edit of it, for all that is known"
    assert not was_text(LOG, digest_of_text(THIRD))
    author, other = TextDocument(2, LOG[:1]), TextDocument(3, LOG[:1])
    log = [LOG[0], other.edit([Edit(0, 0, "0\n")]), *(author.edit([Edit(0, 0, end)]) for end in "ab")]
    monkeypatch.setattr(passed, "_STEPS_MAX", 2)
    assert found("a" + FIRST, log=log) is not None
    assert found("ba" + FIRST, log=log) is None
    monkeypatch.setattr(passed, "_SHAPES_PER_STEP", 1)
    assert found("a" + FIRST, log=log) is None


def test_what_was_before_the_agreement_or_is_not_of_its_past_is_not_found() -> None:
    agreed = AGREED._replace(digest=digest_of_text(SECOND), state_vector=VECTORS[1])
    assert moment_of(LOG, agreed, SECOND, FIRST, torn=False) is None
    assert moment_of(LOG, agreed, SECOND, THIRD, torn=False) == Moment(THIRD, VECTORS[2])
    elsewhere = agreed._replace(state_vector=VECTORS[2])
    assert moment_of(LOG, elsewhere, SECOND, THIRD, torn=False) is None
    assert moment_of([], agreed, SECOND, THIRD, torn=False) is None


def test_after_a_save_that_was_merged_with_what_others_did_each_text_that_had_it_is_one_since() -> None:
    stood = "zero\n" + FIRST
    log, vectors = history(FIRST, stood + "two there\n", stood + "two there\nthree more\n")
    agreed = AGREED._replace(digest=digest_of_text(stood), state_vector=vectors[1])
    saved = stood + "two there\nthree more\nfour\n"
    assert moment_of(log, agreed, stood, saved, torn=False) == Moment(saved[:-5], vectors[2])
    assert moment_of(log, agreed, stood, stood + "two there\n", torn=False) == Moment(
        stood + "two there\n", vectors[1]
    )
    assert moment_of(log, agreed, stood, FIRST, torn=False) is None, "it lacks the save"
    assert moment_of(log, agreed, None, saved, torn=False) is None, "what stood there is not known"


def test_after_such_a_save_too_what_its_author_had_is_found_though_others_changed_the_text_at_once() -> None:
    saver = TextDocument(1)
    first = saver.edit(diff("", FIRST))
    author, other = TextDocument(2, [first]), TextDocument(3, [first])
    log = [first, other.edit(diff(FIRST, SECOND))]
    stood = "zero\n" + FIRST
    save = saver.edit(diff(FIRST, stood))
    agreed = AGREED._replace(digest=digest_of_text(stood), state_vector=saver.state_vector)
    for document in (author, other):
        document.apply_update(log[1])
        document.apply_update(save)
    log += [
        save,
        other.edit(diff(other.text, THIRD)),
        author.edit(diff(author.text, "zero at once\n" + SECOND)),
    ]
    there = Moment(author.text, author.state_vector)
    assert moment_of(log, agreed, stood, author.text, torn=False) == there


def test_what_an_author_had_is_found_though_they_put_it_next_to_what_their_disk_did_not_have_yet() -> None:
    saver, other = TextDocument(1), TextDocument(3)
    log = [saver.edit(diff("", FIRST))]
    other.apply_update(log[0])
    stood = SECOND
    log.append(other.edit([Edit(0, 0, "zero\n")]))
    log.append(saver.edit(diff(FIRST, stood)))
    agreed = AGREED._replace(digest=digest_of_text(stood), state_vector=saver.state_vector)
    saver.apply_update(log[1])
    log.append(saver.edit([Edit(5, 5, "a line of theirs\n")]))
    other.apply_update(log[2])
    other.apply_update(log[3])
    log.append(other.edit([Edit(10, 10, "typed")]))
    had = "a line of theirs\n" + stood
    vector = with_clock(agreed.state_vector, 1, decode(saver.state_vector)[1])
    assert moment_of(log, agreed, stood, had, torn=False) == Moment(had, vector)
    assert moment_of(log, agreed, stood, had + "and more\n", torn=False) == Moment(had, vector)
    waiting = saver.edit([Edit(0, 0, "gone\n")]) and saver.edit([Edit(0, 0, "waits for that\n")])
    assert moment_of([*log, waiting], agreed, stood, had, torn=False) == Moment(had, vector)


def test_of_what_no_document_takes_nobody_can_tell_what_its_author_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuses(document: TextDocument, update: bytes) -> None:
        raise MalformedUpdate("no document takes it")

    log = [LOG[0], TextDocument(3, LOG[:1]).edit([Edit(0, 0, "zero\n")]), LOG[1]]
    assert found(SECOND, log=log) == Moment(SECOND, VECTORS[1])
    monkeypatch.setattr(TextDocument, "apply_telling", refuses)
    assert found(SECOND, log=log) is None


def test_a_save_that_only_adds_to_a_text_was_made_from_that_though_a_short_line_goes_on_in_it() -> None:
    log, vectors = history(FIRST, "2\nline of the room\n", "2\nline of the whole room\n")
    assert found("2 with words\nline of the room [checked]\n", log=log) == Moment(
        "2\nline of the room\n", vectors[1]
    )
    log, _ = history(FIRST, FIRST + "milk\n")
    assert found(FIRST + "milk and honey\n", log=log) is None, "by chance, it may be"


def test_after_a_power_cut_a_save_was_made_from_the_text_of_which_it_has_all_that_was_inserted() -> None:
    log, vectors = history(FIRST, "milk\n" + FIRST)
    there = Moment("milk\n" + FIRST, vectors[1])
    assert found("milk and honey\n", torn=True, log=log) == there
    assert found("milk and honey\n", log=log) is None
    elsewhere = "one here\nand also honey, and all kinds of milk\n"
    assert found(elsewhere, torn=True, log=log) is None


def test_a_save_that_ends_within_a_line_was_made_from_what_its_author_had_first() -> None:
    author, other = TextDocument(2, LOG[:1]), TextDocument(3, LOG[:1])
    by_other = other.edit(diff(FIRST, "zero of another\n" + FIRST))
    with_line = FIRST + "and two of theirs\n"
    first = author.edit(diff(FIRST, with_line))
    there = Moment(with_line, author.state_vector)
    later = author.edit(diff(with_line, FIRST + "and two of theirs, checked\n"))
    log = [LOG[0], by_other, first, later]
    assert found("something else\nand two of th", torn=True, log=log) == there
    assert found("something else\nand two of th", log=log) is None
    assert found("something else\nand two", torn=True, log=log) is None, "by chance, it may be"
    assert found("something else\nthis and two of th", torn=True, log=log) is None, "another line"
    assert found(FIRST + "something else\none he", torn=True, log=log) is None, "that was there before"


def test_what_each_author_had_is_found_in_one_update_of_several() -> None:
    typist, marker = TextDocument(2, LOG[:1]), TextDocument(3, LOG[:1])
    marker.apply_update(typist.edit([Edit(0, 0, "typed here\n")]))
    there = Moment("typed here\n" + FIRST, typist.state_vector)
    marker.apply_update(typist.edit([Edit(5, 5, "\n")]))
    marker.edit([Edit(0, 0, "marked ")])
    assert found("typed here\n" + FIRST, log=[LOG[0], marker.diff_update(VECTORS[0])]) == there


def test_an_update_that_no_document_takes_is_left_out_of_what_the_text_was() -> None:
    document = TextDocument(5)
    update = document.edit([Edit(0, 0, "one\n")])
    assert passed.vector_of([b"no update", update], digest_of_text("one\n")) == document.state_vector


def test_an_update_that_cannot_be_read_is_left_out() -> None:
    assert found(THIRD, log=[LOG[0], b"\xff\xff", *LOG[1:]]) == Moment(THIRD, VECTORS[2])
    assert was_text([LOG[0], b"\xff\xff"], digest_of_text(FIRST))


def test_what_its_author_had_is_found_though_others_changed_the_text_at_once() -> None:
    base, ours = "the same\nfor all\n", "the same [checked]\none line more\n"
    first = TextDocument(1).edit(diff("", base))
    author, other = TextDocument(2, [first]), TextDocument(3, [first])
    vector = author.state_vector
    agreed = AGREED._replace(digest=digest_of_text(base), state_vector=vector)
    log = [first, other.edit(diff(base, "for all\n")), author.edit(diff(base, ours))]
    assert TextDocument(0, log).text == " [checked]one line more\n", "nobody's text"
    there = Moment(ours, author.state_vector)
    assert moment_of(log, agreed, base, ours, torn=False) == there
    assert moment_of(log, agreed, base, ours[:-5], torn=True) == there
    assert moment_of(log, agreed, base, ours[:-5], torn=False) is None

    other.apply_update(log[2])
    on_both = other.edit([Edit(0, 0, "on top of both\n")])
    assert moment_of([b"\xff", *log[:2], b"\xff", *log[2:], on_both], agreed, base, ours, torn=False) == there
    merged = author.diff_update(vector)
    author.apply_update(on_both)
    assert moment_of([*log[:2], author.diff_update(vector)], agreed, base, ours, torn=False) is None
    assert moment_of([*log[:2], merged], agreed, base, ours, torn=False) == there


def test_a_text_of_which_more_was_typed_before_a_hub_told_all_in_one_is_found() -> None:
    page = TextDocument(7, [LOG[0]])
    for at, typed in ((0, "zero\n"), (9, " and"), (4, "es")):
        page.edit([Edit(at, at, typed)])
        if typed == " and":
            stood, vector = page.text, page.state_vector
    told = page.diff_update(VECTORS[0])
    assert found(stood, log=[LOG[0], told]) == Moment(stood, vector)


def test_the_log_tells_what_became_of_the_characters_of_a_text() -> None:
    lineage = lineage_of([LOG[0], b"broken", *LOG[1:], *erasing("one ", "two")], SECOND)
    assert lineage is not None
    assert lineage.runs("one here", " there") == ()
    assert lineage.runs("two there", " there") == [(3, 0, 6)]


def test_the_log_tells_what_stands_as_one_update_inserted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(log: list[bytes], end: int = len(THIRD)) -> list[str]:
        lineage = lineage_of(log, FIRST)
        assert lineage is not None
        return [*lineage.steps(0, end)]

    assert steps([LOG[0], b"broken", *LOG[1:]]) == ["two there\n", "three more\n"]
    assert steps(LOG, len(SECOND) + 1) == ["two there\n"]
    assert steps([*LOG, *erasing("one ", "two")]) == ["three more\n"]
    assert steps([LOG[0], LOG[2], LOG[1]]) == [], "one waited for the other"
    monkeypatch.setattr(passed, "_READ_MAX_CHARS", len(THIRD))
    assert steps(LOG) == [], "too much to be read"


def test_a_line_that_comes_back_comes_back_without_what_others_had_taken_out_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = " [checked one]"
    base = f"the first line\nwhat two have marked{mark}{mark}\nthe last line\n"
    ours = base.replace(f"{mark}\n", f"{mark} and gone on with\n")
    [first], _ = history(base)
    taker, other = TextDocument(2, [first]), TextDocument(3, [first])
    at = base.index(mark)
    taken_back = taker.edit([Edit(at, at + len(mark), "")])
    replaced = other.edit(diff(base, base.replace(f"what two have marked{mark}{mark}", "something else")))
    elsewhere = other.edit([Edit(0, len("the first line"), "")])

    def merged(*since: bytes) -> str:
        log = [first, *since]
        theirs = TextDocument(0, log).text
        return apply_edits(theirs, rebase(base, ours, theirs, lineage=lambda: lineage_of(log, base)))

    after = f"what two have marked{mark} and gone on with\nthe last line\n"
    assert merged(taken_back) == f"the first line\n{after}", "it stands"
    assert merged(taken_back, b"broken", replaced) == f"the first line\nsomething else\n{after}"
    assert merged(replaced, elsewhere, taken_back) == f"\nsomething else\n{after}", "it was seen later"
    monkeypatch.setattr(passed, "_ERASING_MAX", 1)
    assert merged(replaced, elsewhere, taken_back).count(mark) == 2, "one more than are looked at"


def test_of_a_text_that_the_room_never_had_the_log_tells_nothing() -> None:
    assert lineage_of(LOG, "one more\n") is None, "though one was as long"
    assert lineage_of(LOG, "another\n") is None


def test_of_texts_as_long_as_it_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = history("one\n", "two\n", "ten\n", "six\n")
    monkeypatch.setattr(passed, "_READ_MAX_CHARS", len("one\n"))
    assert lineage_of(log, "two\n") is not None
    assert lineage_of(log, "ten\n") is None


def test_of_a_text_with_more_than_characters_it_tells_nothing() -> None:
    doc = Doc[Any]()
    doc.apply_update(LOG[0])
    doc.get("content", type=Text).insert_embed(3, {"image": 1})
    assert lineage_of([LOG[0], doc.get_update()], FIRST) is None


def erasing(start: str, end: str) -> list[bytes]:
    """Of the third text, all from there to there."""
    document = TextDocument(2, LOG)
    at = document.text.index(start)
    return [document.edit([Edit(at, document.text.index(end) + len(end), "")])]
