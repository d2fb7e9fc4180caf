"""Recorded editing sessions, keystroke by keystroke, end as they did."""

from __future__ import annotations

import pytest

from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.rebase import rebase
from tests.traces import Patch, Transaction, recording


def edit_of(patch: Patch) -> Edit:
    return Edit(patch.position, patch.position + patch.deleted, patch.inserted)


def applied(text: str, transactions: tuple[Transaction, ...]) -> str:
    for transaction in transactions:
        for patch in transaction.patches:
            text = text[: patch.position] + patch.inserted + text[patch.position + patch.deleted :]
    return text


@pytest.mark.parametrize(
    ("name", "length"), [("sveltecomponent", None), ("rustcode", 12_000), ("automerge-paper", 12_000)]
)
def test_a_session_of_one_author_ends_with_their_text(name: str, length: int | None) -> None:
    session = recording(name)
    transactions = session.transactions[:length]
    document, reader = TextDocument(1), TextDocument(2)
    document.edit([Edit(0, 0, session.start)])
    reader.apply_update(document.encode_state())
    for transaction in transactions:
        for patch in transaction.patches:
            update = document.edit([edit_of(patch)])
            if update:
                reader.apply_update(update)
    expected = session.end if length is None else applied(session.start, transactions)
    assert document.text == reader.text == expected
    assert document.state_vector == reader.state_vector
    assert TextDocument(3, [document.encode_state()]).text == expected


def test_two_who_type_at_the_same_time_end_with_the_recorded_text() -> None:
    """Each transaction is typed into the text after exactly its parents, and its update reaches the other
    author when a transaction of theirs follows it."""
    session = recording("friendsforever")
    documents = [TextDocument(1), TextDocument(2)]
    known: list[int] = [0, 0]
    """Of each author, how many of the other's updates they have taken in."""
    made: list[list[bytes]] = [[], []]
    seen: list[tuple[int, int]] = []
    """For each transaction, how many of each author's updates are in the text after it."""
    for transaction in session.transactions:
        author, other = transaction.agent, 1 - transaction.agent
        after = [max((seen[parent][side] for parent in transaction.parents), default=0) for side in (0, 1)]
        assert after[author] == len(made[author]), "an author follows themselves"
        document = documents[author]
        while known[author] < after[other]:
            document.apply_update(made[other][known[author]])
            known[author] += 1
        made[author].append(document.edit([edit_of(patch) for patch in transaction.patches]))
        after[author] += 1
        seen.append((after[0], after[1]))
    for author, document in enumerate(documents):
        for update in made[1 - author][known[author] :]:
            document.apply_update(update)
        assert document.text == session.end
    assert documents[0].state_vector == documents[1].state_vector
    assert not documents[0].pending


def test_saves_of_a_session_diff_to_what_was_typed_and_merge_with_edits_elsewhere() -> None:
    session = recording("sveltecomponent")
    document = TextDocument(1)
    text = session.start
    document.edit([Edit(0, 0, text)])
    for at in range(0, 6000, 150):
        saved = applied(text, session.transactions[at : at + 150])
        edits = diff(text, saved)
        assert apply_edits(text, edits) == saved
        theirs = "<!-- theirs -->\n" + document.text
        assert apply_edits(theirs, rebase(text, saved, theirs)) == "<!-- theirs -->\n" + saved
        document.edit(edits)
        text = saved
        assert document.text == text
