"""Editors that follow the plugins' rules, tools that save the file and others in the room: all end equal."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.testing.plugins import VirtualEditor
from crdtsync.testing.tokens import FIRST_TOKEN
from tests.simulation.scene import Scene


def ended(scene: Scene, editors: list[VirtualEditor]) -> str:
    """What all hold in the end."""
    scene.rest()
    text = scene.read(scene.a, "a.md")
    assert text is not None
    for editor in editors:
        assert editor.plugin.buffer == text
        assert editor.plugin.errors == []
    return text


@pytest.mark.parametrize("seed", range(20))
def test_editors_disks_and_rooms_end_equal_and_lose_no_token(seed: int) -> None:
    rng = Random(seed)
    scene = Scene()
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.rest()
    editors = [
        VirtualEditor(replica, scene.clock, Random(rng.random()), "a.md", "one\ntwo\nthree\n")
        for replica in (scene.a, scene.a, scene.b)
    ]
    scene.wait(1.0)
    assert all(editor.plugin.tracking for editor in editors)
    tokens: list[str] = []
    for number in range(rng.randint(5, 60)):
        token = chr(FIRST_TOKEN + number)
        match rng.randrange(8):
            case 0:
                replica = rng.choice((scene.a, scene.b))
                saved = scene.read(replica, "a.md") or ""
                line = saved.find("\n", rng.randrange(len(saved) + 1)) + 1
                scene.save(replica, "a.md", saved[:line] + token + "\n" + saved[line:])
                tokens.append(token)
                scene.wait(rng.choice((0.0, 0.4)))
            case 1:
                plugin = rng.choice(editors).plugin
                cut = plugin.buffer.find("one")
                if cut >= 0:
                    plugin.replace(cut, cut + 3, "")
            case 2:
                scene.wait(rng.choice((0.02, 0.2, 3.0)))
            case _:
                plugin = rng.choice(editors).plugin
                at = rng.randint(0, len(plugin.buffer))
                plugin.replace(at, at, token + rng.choice(("", "\n")))
                tokens.append(token)
        if rng.random() < 0.5:
            scene.wait(rng.uniform(0, 0.03))
    text = ended(scene, editors)
    assert [token for token in tokens if text.count(token) != 1] == [], text
