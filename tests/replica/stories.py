"""How many stories of a replica begin, what happens in several, and what they ask of it."""

from __future__ import annotations

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.status import Status
from crdtsync.testing.virtual_inodes import Inode
from crdtsync.testing.virtual_process import VirtualProcess
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

LINES = "".join(f"line {number} of the text\n" for number in range(6))


def shared(text: str = "one\ntwo\n") -> Scene:
    """Both have ``a.md``."""
    scene = Scene()
    scene.save(scene.a, "a.md", text)
    scene.rest()
    return scene


def save_many_folders(scene: Scene) -> None:
    """So many that a scan takes longer than a look."""
    for folder in "bcdefghijklmnopqrst":
        scene.save(scene.a, f"{folder}/x.md", "x\n")
    scene.rest()


def received(scene: Scene, path: str, *saves: bytes | str) -> list[Inode]:
    """``a`` makes these saves, and ``b`` has each on its disk, none of them safely; ``b``'s files."""
    files = []
    for save in saves:
        data = save.encode() if isinstance(save, str) else save
        scene.save(scene.a, path, data)

        def there(data: bytes = data) -> bool:
            node = scene.b.disk.get(path)
            return node is not None and node.data == data and not scene.writing(scene.b)

        assert scene.within(2.0, there)
        node = scene.b.disk.get(path)
        assert node is not None
        files.append(node)
    return files


def goes_away(scene: Scene, how: str) -> None:
    """``b`` goes "offline" or "down": what is done there now is told to nobody, and ``b`` hears nothing."""
    match how:
        case "offline":
            scene.b.link.unplug()
        case "down":
            scene.b.kill()


def comes_back(scene: Scene, how: str) -> None:
    scene.wait(2.0)
    if how == "down":
        scene.b.start()
    scene.b.link.online = True


def power_cut(scene: Scene) -> None:
    """What of the disk went with it, the test says; the store keeps all."""
    scene.b.kill()
    scene.b.machine.boots += 1


def taken_aside_as_another_comes(scene: Scene) -> None:
    """Others rename ``a.md`` and put another in its place; as that comes to ``b``, a person there takes the
    old one aside, to ``a.md~``."""
    scene.b.link.unplug()
    scene.a.disk.rename("a.md", "moved.md")
    scene.wait(2.0)
    scene.save(scene.a, "a.md", "another\n")
    scene.wait(2.0)
    taken = False

    def take_aside(path: str) -> None:
        nonlocal taken
        if not taken:
            taken = True
            scene.b.disk.rename("a.md", "a.md~")

    scene.b.race = take_aside
    scene.b.link.online = True


def texts(scene: Scene) -> dict[str, str]:
    """What both hold in the end."""
    scene.rest()
    return {path: data.decode() for path, data in scene.files(scene.a).items()}


def state_of(replica: VirtualReplica) -> ReplicaState:
    assert replica.engine is not None
    return replica.engine.state


def status_of(replica: VirtualReplica) -> Status:
    assert replica.engine is not None
    return replica.engine.status


def process_of(replica: VirtualReplica) -> VirtualProcess:
    assert replica.process is not None
    return replica.process
