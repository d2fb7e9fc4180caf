"""How far the edits of programs were taken, over a start of the replica."""

from __future__ import annotations

from crdtsync.core.replica import marks as module
from crdtsync.core.replica.effects import Persist
from crdtsync.core.replica.events import Mark
from crdtsync.core.replica.marks import Marks
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import PutMeta

COLLIDING = "02c96a8065f1b725", "44f58ef335dc59b5"


def kept(out: Outbox, meta: dict[str, str]) -> dict[str, str]:
    """What the store has of it."""
    for effect in out.take():
        assert isinstance(effect, Persist)
        for record in effect.records:
            assert isinstance(record, PutMeta)
            meta[record.key] = record.value
    return meta


def test_each_program_has_a_row_of_its_own_which_a_start_knows() -> None:
    out, meta = Outbox(), {"room": "notes", "program:7": "damaged"}
    marks = Marks(out, meta)
    for number, program in enumerate((*COLLIDING, *map(str, range(module.PROGRAMS_MAX - 2))), start=1):
        marks.take(Mark(program, number))
        marks.take(Mark(program, number + 1))
    known = Marks(out, kept(out, meta))
    assert [known.taken(program) for program in COLLIDING] == [2, 3]
    assert known.taken("61") == 65 and known.taken("unknown") == 0
    assert len(meta) == 1 + module.PROGRAMS_MAX


def test_of_too_many_the_one_that_was_silent_for_longest_is_forgotten() -> None:
    out, meta = Outbox(), dict[str, str]()
    marks = Marks(out, meta)
    for number in range(module.PROGRAMS_MAX):
        marks.take(Mark(f"p{number}", 1))
    marks.take(Mark("p0", 2))
    marks.take(Mark("new", 5))
    for known in (marks, Marks(out, kept(out, meta))):
        assert [known.taken(program) for program in ("p0", "p1", "p2", "new")] == [2, 0, 1, 5]
    assert len(meta) == module.PROGRAMS_MAX
