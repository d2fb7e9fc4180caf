"""What is remembered of the order in which a hub told of edits, and what that is worth when it is lost."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import told, unaccepted
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.taking_back import doubled, found_again, given_back, taken_back
from crdtsync.core.replica.told import ToldOrder
from crdtsync.core.replica.unaccepted import Save, Unaccepted, UnacceptedEdits
from crdtsync.core.text.deltas import inserted_ranges
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values.ids import EntryId

ENTRIES = [EntryId(name * 24) for name in "abc"]
FIRST, SECOND, THIRD = "one\n", "one\ntwo\n", "one\ntwo\nthree\n"


def log_of(*texts: str) -> list[bytes]:
    """The updates of one author whose text becomes each of these."""
    document = TextDocument(1)
    return [document.edit(diff(document.text, text)) for text in texts]


LOG = log_of(FIRST, SECOND, THIRD)


def test_of_what_a_hub_told_the_last_small_updates_of_the_last_texts_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(told, "_TOLD_MAX_TEXTS", 2)
    order = ToldOrder()
    for entry in ENTRIES:
        for update in (*LOG, LOG[0]):
            order.add(entry, update)
    order.add(ENTRIES[1], bytes(told._TOLD_MAX_BYTES + 1))
    assert [order.take(entry) for entry in ENTRIES] == [[], [], [LOG[1], LOG[2], LOG[0]]]


def test_of_a_text_whose_order_is_lost_nothing_more_is_put_down_until_it_was_asked_for() -> None:
    order = ToldOrder()
    order.add(ENTRIES[0], LOG[0])
    order.lose()
    order.add(ENTRIES[0], LOG[1])
    assert order.take(ENTRIES[0]) == [LOG[0]]
    order.add(ENTRIES[0], LOG[1])
    assert order.take(ENTRIES[0]) == [LOG[1]]


def test_of_very_many_texts_the_last_whose_edits_were_placed_are_placed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unaccepted, "_LATELY_MAX_TEXTS", 2)
    edits = UnacceptedEdits(Outbox())
    for entry in ENTRIES:
        edits.add(entry, Unaccepted("", FIRST, LOG[0], LOG[0]))
        edits.accepted(entry, [LOG[0]], stored=True)
    edits.lose_order()
    assert [entry in edits for entry in ENTRIES] == [False, True, True]


def test_nothing_is_taken_back_of_what_waits_for_others_or_cannot_be_read() -> None:
    edit = Unaccepted(SECOND, THIRD, LOG[2], LOG[2])
    assert taken_back(LOG[:1], [edit]) == b""
    assert taken_back([LOG[0], LOG[2]], [Unaccepted(FIRST, SECOND, LOG[1], LOG[1])]) == b"", (
        "they built on it"
    )
    assert taken_back(LOG[:2], [Unaccepted("", "", b"\xff\xff", b"\xff\xff")]) == b""


@pytest.mark.parametrize(
    ("here", "there", "left"),
    [
        ("line of others\nof us\n", "line of oth+ers\n", "line of oth+ers\nof us\n"),
        ("line of others\n", "of them\nline of others, and more\n", "of them\nline of others, and more\n"),
        ("line of others\n", "line of others\n", "line of others\n"),
        ("line of others\nof us\n", "line of oth+ers\nof them\n", "line of oth+ers\nof us\nof them\n"),
        ("short\n", "sho+rt\n", None),
        ("line of others\n", "line of theirs\n", None),
    ],
)
def test_what_a_file_had_left_of_others_goes_where_they_bring_it_with_what_they_typed_in_it(
    here: str, there: str, left: str | None
) -> None:
    base = log_of("first\n")[0]
    ours, theirs = TextDocument(2, [base]), TextDocument(3, [base])
    edit = ours.edit(diff("first\n", here + "first\n"))
    update = theirs.edit(diff("first\n", there + "first\n"))
    out = found_again([base, update], Unaccepted("first\n", here + "first\n", edit, edit))
    kept = TextDocument(0, [base, update, edit] + ([out] if out else [])).text
    if left is None:
        assert out == b"" and here in kept and there in kept
    else:
        assert sorted(kept.splitlines()) == sorted([*left.splitlines(), "first"])
    assert found_again([], Unaccepted("first\n", "", edit, edit)) == b""


def test_nothing_is_taken_out_but_what_we_inserted_however_alike_it_looks() -> None:
    """What the update is judged as made from has what others had deleted around it."""
    old = "line 7ef8 <9> 25c2 of text\nline 5636 <10> 2c1f of text\n"
    author, page = TextDocument(1), TextDocument(2)
    first = author.edit([Edit(0, 0, old)])
    page.apply_update(first)
    begun = page.edit([Edit(21, 21, "li22 bd90 of text\nline 697a <18> cce6 of t23\next\n<17>")])
    gone = author.edit([Edit(0, len(old), "")])
    update = page.edit([Edit(21, 21, "line dc76 <24> 6648 of text\n")])
    had = TextDocument(0, [first, begun])
    edit = Unaccepted(had.text, page.text, update, update)
    assert taken_back([first, begun, gone], [edit]) == b""


def test_of_two_marks_ours_goes_with_which_we_have_gone_on_and_what_we_went_on_with_stays() -> None:
    base = log_of("first\nlast\n")[0]
    theirs, ours = TextDocument(3, [base]), TextDocument(2, [base])
    update = theirs.edit([Edit(5, 5, " [checked]"), Edit(11, 11, "more\n")])
    before = ours.text
    edit = ours.edit([Edit(5, 5, " [checked] and ours")])
    out = taken_back([base, update], [Unaccepted(before, ours.text, edit, edit)])
    kept = TextDocument(0, [base, update, edit, out]).text
    assert kept.count("[checked]") == 1 and kept.count(" and ours") == 1 and "more\n" in kept


@pytest.mark.parametrize("followed", [False, True])
def test_it_is_the_save_that_counts_not_where_it_came_to_in_a_text_that_had_gone_on(followed: bool) -> None:
    before, after = "bread and jam\n", "bread and jam, from the market\n"
    theirs = "bread, from the market and jam\n"
    merged = "bread, from the market and jam, from the market\n"
    save = Save("bread\n", "bread, from the market\n")
    flying = [Unaccepted(before, after, b"", b"", save=save)]
    if followed:
        more = Save(save.text, save.text + "butter\n")
        flying.append(Unaccepted(after, after + "butter\n", b"", b"", save=more))
        merged += "butter\n"
    edits = doubled(merged, theirs, flying, [(30, 47), *([(48, 55)] if followed else [])])
    assert apply_edits(merged, edits) == theirs + ("butter\n" if followed else "")


def test_what_stands_twice_goes_though_the_two_merges_are_of_one_length() -> None:
    """They deleted a line that we went on with: of that the merge of the operations has less, as it happens
    by as many characters as the mark has."""
    before, after = "line b of text\nx\n", "line b of text and more\nx [checked 1234]\n"
    theirs, merged = "x [checked 1234]\n", " and morex [checked 1234] [checked 1234]\n"
    assert len(merged) == len("line b of text and more\nx [checked 1234]\n")
    edits = doubled(merged, theirs, [Unaccepted(before, after, b"", b"")], [(0, 9), (25, 40)])
    assert apply_edits(merged, edits) == " and morex [checked 1234]\n"


def test_what_stands_twice_goes_though_the_operations_tore_a_line_by_it_and_so_have_less() -> None:
    """They typed over some of a line. Our file has that, too, though not our state, and one before it."""
    before, after = "line 1324 and more\nline 7\n", "line 56\nli\u597d324 and more\nline 7\n"
    theirs, merged = "li\u597d324 and more\nline 7\n", "li\u597d56\nli\u597d324 and more\nline 7\n"
    assert len(merged) < len(after)
    edits = doubled(merged, theirs, [Unaccepted(before, after, b"", b"")], [(3, 9)])
    assert apply_edits(merged, edits) == after


def test_what_two_took_out_one_each_is_given_back_once() -> None:
    twice, once = "one [m] [m]\ntwo\n", "one [m]\ntwo\n"
    ours = Unaccepted(twice, once, b"", b"", takes_back=True)
    [edit] = given_back("one\ntwo\n", once, [ours])
    assert apply_edits("one\ntwo\n", [edit]) == once
    assert given_back(once, twice, [ours]) == ()
    assert given_back("two\n", "two\n", [ours]) == (), "someone took out the line"
    assert given_back("one\ntwo\n", once, [Unaccepted("two\n", once, b"", b"")]) == ()


def test_what_another_has_gone_on_with_is_not_given_back() -> None:
    """One made a line that another had made, too, and took it out again, as that one went on with theirs."""
    line = "line 5636 of text\n"
    ours = Unaccepted(line + line, line, b"", b"", takes_back=True)
    for gone_on in ("line 5636 of text with more\n", "line 5636, too, of text\n"):
        assert given_back(gone_on, line + gone_on, [ours]) == ()
        assert given_back(f"new\n{gone_on}", f"new\n{line}{gone_on}", [ours]) == ()
    [edit] = given_back("new\n", f"new\n{line}{line}", [ours])
    assert edit.text == line


def test_what_we_inserted_at_places_that_touch_by_now_is_looked_at_piece_by_piece() -> None:
    """Both marked the first line; others went on in it and took out the second, which we marked, too."""
    before = "milk and honey\nbread and butter\n"
    after = "milk and honey [checked one]\nbread and butter [checked two]\n"
    base = TextDocument(1, log_of(before)).encode_state()
    mine, others = TextDocument(2, [base]), TextDocument(3, [base])
    update = mine.edit(diff(before, after))
    end = len(before) - 1
    others.edit([Edit(before.index("\n"), end, ""), Edit(end, end, " [checked one], too")])
    document = TextDocument(4, [others.encode_state()])
    edits = document.apply_telling(update)
    assert edits is not None
    assert document.text == "milk and honey [checked one] [checked two] [checked one], too\n"
    edit = Unaccepted(before, after, update, update)
    out = doubled(document.text, others.text, [edit], inserted_ranges([], edits))
    assert apply_edits(document.text, out) == "milk and honey [checked two] [checked one], too\n"


def test_what_we_added_to_a_line_is_looked_at_apart_from_the_line_that_we_put_below() -> None:
    """Both marked the line and put one below it. Of these the merge of the texts has theirs first, with a
    mark that is like ours."""
    before, after = "milk and honey\n", "milk and honey [checked one]\nbread and butter\n"
    theirs = "milk and honey [checked one]\njam [checked two]\n"
    merged = "milk and honey [checked one] [checked one]\nbread and butter\njam [checked two]\n"
    edits = doubled(merged, theirs, [Unaccepted(before, after, b"", b"")], [(28, 59)], moving=False)
    assert apply_edits(merged, edits) == after + "jam [checked two]\n"
