"""What a hub puts off while others are to be told something."""

from functools import partial

from crdtsync.core.hub import bounds
from crdtsync.core.hub.put_off import PutOff


def test_what_is_asked_for_again_waits_once_however_often_that_is() -> None:
    put_off = PutOff()
    done: list[int] = []
    for turn in range(1000):
        put_off.add("a text", partial(done.append, turn))
    put_off.do(0.0, idle=True, last=False)
    assert done == [999]
    assert not put_off


def test_what_nobody_has_time_for_is_done_a_few_at_a_time_once_it_is_late() -> None:
    put_off = PutOff()
    done: list[int] = []
    for number in range(10):
        put_off.add(number, partial(done.append, number))
    put_off.do(0.0, idle=False, last=False)
    assert done == []
    put_off.do(bounds.PUT_OFF_MAX_S, idle=False, last=False)
    assert done == [*range(bounds.LATE_PER_TURN)]
    put_off.do(bounds.PUT_OFF_MAX_S, idle=False, last=True)
    assert done == [*range(10)]
