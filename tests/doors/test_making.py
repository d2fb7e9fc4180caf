"""A text becomes a file with its first character, after others were told of that; nothing is lost by it."""

from __future__ import annotations

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Append
from crdtsync.core.hub.events import Closed
from crdtsync.core.values.ids import TREE
from crdtsync.core.wire.hocuspocus import Named
from crdtsync.core.wire.messages import Probed, Relay
from crdtsync.core.wire.yjs import SyncUpdate
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


def written(bench: Bench) -> list[str]:
    """The rooms with a new file in what is on its way to the store."""
    appends = [request for request in bench.requests if isinstance(request, Append)]
    return [row.room for append in appends for row in append.rows if row.entry.document == TREE]


def pair(bench: Bench, number: int, room: str = "notes") -> tuple[YjsClient, YjsClient]:
    return YjsClient(bench, Page(2 * number + 5), room=room), YjsClient(
        bench, Page(2 * number + 6), room=room
    )


def turn(bench: Bench) -> None:
    """One turn of the hub, and its frames are read; what it asks of the store stays unanswered."""
    bench.flush()
    for client in list(bench.replicas.values()):
        while client.waiting:
            client.take_one()


def test_others_are_told_of_the_first_character_before_there_is_a_file() -> None:
    bench = Bench()
    writer, reader = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    assert reader.page.text == "a" and written(bench) == []
    turn(bench)
    assert written(bench) == ["notes"]
    bench.settle()
    assert Folder(bench).read() == {"a.txt": "a"}


def test_of_many_first_characters_one_becomes_a_file_in_each_turn_without_news() -> None:
    bench = Bench()
    pairs = [pair(bench, number, f"room{number}") for number in range(5)]
    for writer, _ in pairs[:4]:
        writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    assert [reader.page.text for _, reader in pairs] == ["a", "a", "a", "a", ""]
    turn(bench)
    assert written(bench) == ["room0"]
    writer, reader = pairs[4]
    writer.say(SyncUpdate(writer.page.type("b")))
    turn(bench)
    assert reader.page.text == "b" and written(bench) == ["room0"]
    bench.settle()
    texts = [Folder(bench, f"room{number}").read()["a.txt"] for number in range(5)]
    assert texts == ["a", "a", "a", "a", "b"]


def test_while_there_is_news_without_end_files_are_made_before_it_gets_late() -> None:
    bench = Bench()
    writer, reader = pair(bench, 0)
    busy, _ = pair(bench, 1, "busy")
    writer.say(SyncUpdate(writer.page.type("a")))
    busy.say(SyncUpdate(busy.page.type("x")))
    turn(bench)
    for _ in range(3):
        busy.say(SyncUpdate(busy.page.type("x")))
        turn(bench)
    assert reader.page.text == "a" and written(bench) == []
    bench.now += bounds.PUT_OFF_MAX_S
    busy.say(SyncUpdate(busy.page.type("x")))
    turn(bench)
    assert set(written(bench)) == {"notes", "busy"}


def test_many_that_are_late_are_made_few_in_each_turn_so_that_nobody_waits_for_all() -> None:
    bench = Bench()
    rooms = 2 * bounds.LATE_PER_TURN + 1
    pairs = [pair(bench, number, f"room{number}") for number in range(rooms)]
    for writer, _ in pairs:
        writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    bench.now += bounds.PUT_OFF_MAX_S
    made = []
    while bench.flush_soon:
        before = bench.engine.counts.updates
        turn(bench)
        made.append((bench.engine.counts.updates - before) // 2)
    assert [count for count in made if count] == [bounds.LATE_PER_TURN, bounds.LATE_PER_TURN, 1]
    bench.settle()
    assert all(Folder(bench, f"room{number}").read() == {"a.txt": "a"} for number in range(rooms))


def test_a_folder_that_asks_for_all_is_given_a_file_that_was_not_made_yet() -> None:
    bench = Bench()
    folder = Folder(bench)
    writer, reader = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    assert reader.page.text == "a" and folder.member.all(Relay) == []
    folder.member.probe(7)
    bench.settle()
    kinds = [type(message) for message in folder.member.got if isinstance(message, Relay | Probed)]
    assert kinds == [Relay, Probed] and folder.read() == {"a.txt": "a"}


def owed_answers(bench: Bench) -> HocuspocusClient:
    """Who has ``a.txt`` open and is answered nothing yet; from now on nothing becomes durable."""
    client = HocuspocusClient(bench)
    client.open("notes/a.txt", Page(50))
    client.told["notes/a.txt"].clear()
    bench.hold = {Append}
    return client


def test_a_client_that_is_owed_an_answer_gets_it_once_its_file_is_durable() -> None:
    bench = Bench()
    _, reader = pair(bench, 0)
    client = owed_answers(bench)
    client.type("notes/a.txt", "a")
    assert reader.page.text == "a" and client.statuses("notes/a.txt") == []
    bench.release()
    assert client.statuses("notes/a.txt") == [True]
    assert Folder(bench).read() == {"a.txt": "a"}


def test_an_answer_about_what_another_typed_waits_until_that_is_durable() -> None:
    bench = Bench()
    writer, _ = pair(bench, 0)
    client = owed_answers(bench)
    update = writer.page.type("a")
    writer.say(SyncUpdate(update))
    client.say(Named("notes/a.txt", SyncUpdate(update)))
    assert client.statuses("notes/a.txt") == []
    bench.release()
    assert client.statuses("notes/a.txt") == [True]


@pytest.mark.parametrize("all_go", [True, False])
def test_who_types_and_goes_at_once_leaves_a_file(all_go: bool) -> None:
    bench = Bench()
    writer, reader = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    for gone in (writer, reader) if all_go else (writer,):
        bench.do(Closed(gone.number))
    bench.settle()
    assert Folder(bench).read() == {"a.txt": "a"}


def test_a_hub_that_stops_makes_the_file_first() -> None:
    bench = Bench()
    writer, _ = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    bench.stop()
    bench.settle()
    assert bench.stopped
    assert Folder(Bench(bench.store, "e2")).read() == {"a.txt": "a"}


def test_a_file_that_a_folder_makes_meanwhile_stands_beside_it() -> None:
    bench = Bench()
    folder = Folder(bench)
    writer, reader = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    folder.create("a.txt", "other")
    bench.settle()
    assert sorted(folder.read().values()) == ["a", "other"]
    assert writer.page.text == reader.page.text == "a"


def test_who_comes_meanwhile_opens_the_same_file() -> None:
    bench = Bench()
    writer, _ = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    turn(bench)
    late = YjsClient(bench, Page(90))
    late.type("b")
    assert writer.page.text == late.page.text == "ab"
    assert Folder(bench).read() == {"a.txt": "ab"}


def test_what_leaves_no_character_is_no_file_until_there_is_one() -> None:
    bench = Bench()
    writer, _ = pair(bench, 0)
    writer.say(SyncUpdate(writer.page.type("a")))
    writer.say(SyncUpdate(writer.page.erase(0, 1)))
    bench.settle()
    assert Folder(bench).read() == {}
    writer.type("b")
    assert Folder(bench).read() == {"a.txt": "b"}
