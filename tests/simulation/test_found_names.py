"""What simulated worlds with files that change names found, each as the shortest story that shows it."""

from __future__ import annotations

import pytest

from tests.simulation.scene import Scene


def text_of(name: str) -> str:
    return f"{name} begins here\n{name} goes on\n{name} goes on and on\n{name} ends\n"


@pytest.mark.parametrize("work_s", [0.0001, 0.0003, 0.0005, 0.0008, 0.0012, 0.002])
def test_three_files_that_change_names_are_told_whatever_is_looked_at_first(work_s: float) -> None:
    scene = Scene()
    for name in "pqr":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.b.work_s = work_s
    disk = scene.b.disk
    disk.rename("r.md", "r.md~")
    disk.rename("q.md", "r.md")
    disk.rename("p.md", "q.md")
    disk.rename("r.md~", "p.md")
    scene.save(scene.a, "p.md", text_of("p") + "added to p\n")
    scene.rest()
    for path, name, more in (("q.md", "p", "added to p\n"), ("r.md", "q", ""), ("p.md", "r", "")):
        assert scene.read(scene.a, path) == text_of(name) + more


def test_files_that_are_swapped_and_edited_at_once_are_swapped_and_edited() -> None:
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.b.disk.exchange("p.md", "q.md")
    scene.save(scene.b, "q.md", text_of("p") + "added by b\n")
    scene.save(scene.a, "p.md", "added by a\n" + text_of("p"))
    scene.rest()
    assert scene.read(scene.a, "q.md") == "added by a\n" + text_of("p") + "added by b\n"
    assert scene.read(scene.a, "p.md") == text_of("q")
