"""When paths are looked at, with time as an argument; that a storm of hints costs no walk over all paths."""

from __future__ import annotations

from crdtsync.core.replica.events import Hint, HintKind
from crdtsync.core.replica.looking import LOOK_BATCH_BYTES, LOOKS_UNDER_WAY_MAX, Looking, Wait
from crdtsync.core.values import limits


class Counted(dict[str, object]):
    """Counts how often it is walked."""

    walks = 0

    def items(self):  # type: ignore[no-untyped-def]
        self.walks += 1
        return super().items()


def test_a_storm_of_hints_walks_over_the_settling_paths_only_when_one_is_due() -> None:
    looking = Looking()
    counted = Counted()
    looking._settling = counted  # type: ignore[assignment]
    for number in range(1000):
        looking.tick(number * 1e-6)
        looking.hint_new(Hint(f"{number}.txt", HintKind.CLOSED), number * 1e-6)
    assert counted.walks <= 1
    assert looking.deadline == limits.SETTLE_NEW_S
    looking.tick(limits.SETTLE_NEW_S + 0.001)
    assert sum(map(len, looking.take_looks())) == 512
    assert looking.open_count == 1000


def test_what_was_asked_in_vain_is_wanted_again_when_it_is_due() -> None:
    looking = Looking()
    assert not looking.settle("gone", Wait.ABSENT, 0.0)
    due = looking.deadline
    assert due == limits.SETTLE_DELETION_S
    looking.tick(due)
    assert looking.take_looks() == [("gone",)]
    assert looking.deadline == due or looking.deadline is None
    assert looking.looked(["gone"]) == {"gone"}
    looking.tick(due)  # nobody judged the answer: it is asked for once more
    assert looking.take_looks() == [("gone",)]
    assert looking.looked(["gone"]) == {"gone"}
    assert looking.settle("gone", Wait.ABSENT, due)
    looking.tick(due)
    assert looking.deadline is None
    assert looking.idle


def test_a_path_with_a_step_under_way_is_looked_at_once_that_is_done() -> None:
    looking = Looking()
    looking.hint(Hint("a", HintKind.CLOSED), 0.0)
    looking.want("b")
    assert looking.take_looks({"a": 1}) == [("b",)]
    assert looking.looked(["b"]) == {"b"}
    looking.hint(Hint("a", HintKind.DELETED), 0.0)
    assert looking.take_looks({"a": 1}) == []
    assert looking.is_asked("a") and not looking.idle and looking.open_count == 1
    looking.step_over("a")
    assert looking.take_looks() == [("a",)]
    assert looking.looked(["a"]) == {"a"}
    assert looking.idle


def test_a_path_that_is_to_be_read_is_read_though_a_hint_comes_too() -> None:
    looking = Looking()
    looking.hint(Hint("hinted", HintKind.CLOSED), 0.0)
    looking.want("wanted")
    looking.hint(Hint("wanted", HintKind.CLOSED), 0.0)
    assert looking.is_hinted("hinted") and not looking.is_hinted("wanted")
    looking.take_looks()
    looking.hint(Hint("hinted", HintKind.DELETED), 0.0)
    looking.want("wanted")
    assert looking.looked(["hinted", "wanted"]) == set()
    assert looking.is_hinted("hinted") and not looking.is_hinted("wanted")
    looking.want("hinted")
    assert not looking.is_hinted("hinted")
    looking.take_looks()
    assert looking.looked(["hinted", "wanted"]) == {"hinted", "wanted"}
    assert not looking.is_hinted("hinted")


def test_large_files_are_looked_at_in_batches_of_their_own() -> None:
    looking = Looking()
    for number in range(3):
        looking.want(f"{number}.bin", LOOK_BATCH_BYTES)
    looking.want("small.txt")
    assert looking.take_looks() == [("0.bin",), ("1.bin",), ("2.bin", "small.txt")][:LOOKS_UNDER_WAY_MAX]


def test_an_answer_that_was_not_asked_for_is_not_true() -> None:
    looking = Looking()
    assert looking.looked(["a.txt"]) == set()
    looking.want("a.txt")
    assert looking.take_looks() == [("a.txt",)]
    assert looking.looked(["a.txt"]) == {"a.txt"}
