"""Who is here, across the doors: clients of a document to each other, to folder replicas, and back."""

from __future__ import annotations

import json

import pytest

from crdtsync.core.hub.doors import awareness
from crdtsync.core.hub.doors.awareness import OURS, Gathering
from crdtsync.core.values import limits
from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.core.wire.control import Left, Presence
from crdtsync.core.wire.yjs import Awareness, QueryAwareness
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


def names(page: Page) -> list[str]:
    return sorted(json.loads(state)["user"]["name"] for state in page.people.values())


def test_clients_of_a_document_see_each_other_come_and_go() -> None:
    bench = Bench()
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    bob.say(bob.page.present("Bob"))
    bench.settle()
    assert names(ann.page) == names(bob.page) == ["Ann", "Bob"]  # also oneself: it keeps the connection busy
    carl = YjsClient(bench, Page(7))
    assert names(carl.page) == ["Ann", "Bob"]
    ann.leave()
    bench.settle()
    assert names(bob.page) == names(carl.page) == ["Bob"]


def test_a_client_that_says_it_is_gone_is_gone() -> None:
    bench = Bench()
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    ann.say(Awareness((ClientState(5, 1, NOBODY),)))
    bench.settle()
    assert bob.page.people == {}
    bob.say(QueryAwareness())
    bench.settle()
    assert bob.all(Awareness)[-1] == Awareness(())


def test_a_folder_sees_who_edits_what_in_a_page() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    ann = YjsClient(bench, Page(5))
    ann.say(ann.page.present("Ann"))
    bench.tick()
    seen = folder.member.all(Presence)[-1]
    assert (seen.name, seen.editing) == ("Ann", ("a.txt",))
    folder.rename(entry, "b.txt")
    bench.tick()
    assert folder.member.all(Presence)[-1].editing == ("b.txt",)
    ann.leave()
    bench.tick()
    assert folder.member.all(Left) == [Left(member=seen.member)]


def test_a_client_without_anyone_in_front_of_it_is_not_shown() -> None:
    bench = Bench()
    folder = Folder(bench)
    YjsClient(bench, Page(5))
    bench.tick()
    assert folder.member.all(Presence) == []


def test_a_page_sees_who_has_the_folder_and_what_they_edit() -> None:
    bench = Bench()
    folder = Folder(bench, name="Bob")
    folder.create("a.txt", "x")
    ann = YjsClient(bench, Page(5))
    ((client, state),) = ann.page.people.items()
    assert client >= OURS
    assert json.loads(state)["user"]["name"] == "Bob"
    folder.member.text(Presence(name="Bob", editing=("a.txt", "ü.txt")))
    bench.tick()
    assert json.loads(ann.page.people[client])["editing"] == ["a.txt", "ü.txt"]
    folder.member.leave()
    bench.tick()
    assert ann.page.people == {}


def test_a_page_that_was_away_when_a_folder_left_is_told_so_as_it_comes_back() -> None:
    bench = Bench()
    folder, page = Folder(bench, name="Bob"), Page(5)
    folder.create("a.txt", "x")
    bystander = YjsClient(bench, Page(6))
    client = YjsClient(bench, page)
    assert names(page) == ["Bob"]
    client.leave()
    folder.member.leave()
    bench.tick()
    YjsClient(bench, page)
    assert names(page) == names(bystander.page) == []


def test_what_a_page_knows_is_renewed_before_it_forgets_and_the_connection_is_never_still() -> None:
    bench = Bench()
    Folder(bench, name="Bob")
    ann = YjsClient(bench, Page(5))
    lonely = YjsClient(bench, Page(6), room="empty")
    clocks = []
    for _ in range(3):
        before = len(lonely.got)
        bench.tick(limits.AWARENESS_RENEW_S)
        assert lonely.got[before:] == [Awareness(())]
        clocks.append(ann.all(Awareness)[-1].states[0].clock)
    assert clocks == sorted(set(clocks))
    assert bench.engine.deadline is not None


def test_a_client_cannot_speak_for_a_folder_or_bring_a_crowd() -> None:
    gathering = Gathering()
    crowd = [ClientState(number, 1, "{}") for number in range(100)]
    news = gathering.take(1, [ClientState(OURS | 7, 99, "{}"), *crowd])
    assert len(news) == limits.AWARENESS_CLIENTS_PER_CONNECTION_MAX
    assert all(state.client < OURS for state in news)


def test_what_clients_repeat_of_others_is_no_news_and_brings_nobody_back() -> None:
    gathering = Gathering()
    ann = ClientState(5, 3, '{"a":1}')
    assert gathering.take(1, [ann]) == (ann,)
    assert gathering.take(2, [ClientState(6, 1, "{}"), ann]) == (ClientState(6, 1, "{}"),)
    assert gathering.leave(1) == (ClientState(5, 3, NOBODY),)
    assert gathering.take(2, [ann, ClientState(6, 1, "{}")]) == ()
    assert gathering.take(3, [ClientState(5, 4, "{}")]) == (ClientState(5, 4, "{}"),)


def test_a_client_that_came_back_is_not_removed_with_its_old_connection() -> None:
    gathering = Gathering()
    ann = ClientState(5, 3, '{"a":1}')
    gathering.take(1, [ann])
    assert gathering.take(2, [ann]) == ()
    assert gathering.leave(1) == ()
    assert gathering.all() == (ann,)


def test_a_client_that_another_tab_has_told_of_counts_for_itself_once_it_comes() -> None:
    bench = Bench()
    folder = Folder(bench)
    ann, carl = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    ann.say(carl.page.present("Carl"))  # the tabs of one browser speak with each other
    carl.say(carl.page.last)
    bench.tick()
    assert sorted(each.name for each in folder.member.all(Presence)) == ["Ann", "Carl"]
    ann.leave()
    bench.settle()
    assert names(carl.page) == ["Bob", "Carl"]


def test_a_client_with_nobody_in_front_of_it_is_not_taken_for_whom_it_repeats() -> None:
    bench = Bench()
    folder = Folder(bench)
    ann, observer = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    bench.settle()
    observer.say(ann.page.last)
    bench.tick()
    assert [(each.name, each.member) for each in folder.member.all(Presence)] == [("Ann", ann.number)]
    observer.leave()
    bench.tick()
    assert folder.member.all(Left) == []


def test_who_is_told_of_by_a_client_that_only_repeated_before_is_not_whoever_repeats_it() -> None:
    gathering = Gathering()
    ann, bob = ClientState(5, 1, "{}"), ClientState(6, 1, "{}")
    for channel in (1, 2):
        gathering.answered(channel)
    gathering.take(1, [ann])
    gathering.take(2, [ann])
    gathering.take(2, [bob])
    gathering.answered(3)
    gathering.take(3, [bob])
    assert gathering.of(2) == (bob,)
    assert gathering.leave(2) == (ClientState(6, 1, NOBODY),)


def test_a_client_is_still_there_when_the_file_it_waits_for_appears() -> None:
    bench = Bench()
    folder = Folder(bench)
    ann, carl = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    carl.say(carl.page.present("Carl"))
    folder.create("a.txt", "x")
    assert names(ann.page) == names(carl.page) == ["Ann", "Bob", "Carl"]
    bench.tick()
    assert {each.name: each.editing for each in folder.member.all(Presence)} == {
        "Ann": ("a.txt",),
        "Carl": ("a.txt",),
    }


def test_a_late_word_of_someone_s_end_ends_nobody() -> None:
    gathering = Gathering()
    ann = ClientState(5, 3, '{"a":1}')
    assert gathering.take(1, [ann]) == (ann,)
    assert gathering.take(1, [ClientState(5, 2, NOBODY), ClientState(6, 9, NOBODY)]) == ()
    assert gathering.all() == (ann,)
    assert gathering.take(1, [ClientState(5, 4, NOBODY)]) != ()
    assert gathering.all() == ()


def test_of_many_who_left_the_first_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awareness, "_GONE_MAX", 1)
    gathering = Gathering()
    for client in (5, 6):
        gathering.take(client, [ClientState(client, 3, "{}")])
        gathering.leave(client)
    assert gathering.take(9, [ClientState(6, 3, "{}")]) == (), "it is known to have left"
    assert gathering.take(9, [ClientState(5, 3, "{}")]) == (ClientState(5, 3, "{}"),)
