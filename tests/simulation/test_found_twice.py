"""Stories of what stood twice, though two had made one change: as simulated worlds told them."""

from __future__ import annotations

import pytest

from crdtsync.testing.plan import Plan
from crdtsync.testing.world import World
from tests.simulation.scene import Scene

LINE = "bread and butter for breakfast"


@pytest.mark.parametrize(
    ("first", "saved", "between", "last", "end"),
    [
        pytest.param(
            f"{LINE} and jam\n",
            f"{LINE}, from the market\n",
            f"{LINE} and jam, from the market\n",
            f"{LINE}, from the market and jam\n",
            f"{LINE}, from the market and jam\n",
            id="both add the same to a line, one before a third addition, one behind it",
        ),
        pytest.param(
            "",
            f"{LINE} with honey\n",
            f"{LINE} with honey\n",
            f"{LINE} [checked]\n",
            f"{LINE} [checked] with honey\n",
            id="both bring a deleted line back, and each adds something else",
        ),
    ],
)
def test_the_later_of_two_who_met_compares_what_it_saved(
    first: str, saved: str, between: str, last: str, end: str
) -> None:
    """Not what became of that in a text that had gone on meanwhile."""
    scene = Scene()

    def text(line: str) -> str:
        return f"the first line\n{line}the last line\n"

    scene.save(scene.a, "list.md", text(f"{LINE}\n"))
    scene.rest()
    assert scene.b.engine is not None
    state = scene.b.engine.state
    (entry,) = state.view.room.placements
    scene.b.link.unplug()
    scene.save(scene.b, "list.md", text(saved))
    scene.save(scene.a, "list.md", text(first))
    scene.wait(2.0)
    scene.b.link.latency_s = 0.3
    scene.b.link.online = True
    merged = text(between)
    assert scene.within(60.0, lambda: state.documents.text(entry) == merged)
    scene.save(scene.a, "list.md", text(last))
    scene.rest()
    assert scene.read(scene.a, "list.md") == text(end)


def test_a_line_that_one_message_takes_out_and_brings_back_is_not_brought_back_by_its_receiver() -> None:
    plan = (
        "replicas=4,acts=14,pause_s=0.05,groups=editors,faults=offline+power,turns=0,disks=,typists=1,"
        "bots=0,hocuspocus=0,neighbours=0,readers=0,working=0,newcomer="
    )
    World(57011478, Plan.parse(plan)).run()
