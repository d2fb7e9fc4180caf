"""Two Syncthing processes on loopback with one folder: their keys, configuration and ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.processes import free_port, listens, started, wait_until

OPTIONS = "watches with fsWatcherDelayS=1 (its default is 10), no discovery, no relays"

_CONFIG = """<configuration version="35">
 <folder id="bench" path="{folder}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="true"
  fsWatcherDelayS="1"><filesystemType>basic</filesystemType><device id="{one}"/><device id="{two}"/></folder>
 <device id="{one}" name="one" compression="metadata"><address>tcp://127.0.0.1:{port_one}</address></device>
 <device id="{two}" name="two" compression="metadata"><address>tcp://127.0.0.1:{port_two}</address></device>
 <gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>bench</apikey></gui>
 <options><listenAddress>tcp://127.0.0.1:{port}</listenAddress>
  <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
  <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
  <autoUpgradeIntervalH>0</autoUpgradeIntervalH><startBrowser>false</startBrowser>
  <crashReportingEnabled>false</crashReportingEnabled><reconnectionIntervalS>1</reconnectionIntervalS>
 </options>
</configuration>
"""


@contextmanager
def running(place: Path) -> Iterator[dict[str, int]]:
    """``one`` and ``two`` in ``place``; gives the process ids once both answer."""
    homes = {name: place / f"home-{name}" for name in ("one", "two")}
    ids = {name: _device(home) for name, home in homes.items()}
    ports = {f"port_{name}": free_port() for name in homes}
    guis: dict[str, int] = {name: free_port() for name in homes}
    for name, home in homes.items():
        folder = place / name
        (folder / ".stfolder").mkdir(parents=True, exist_ok=True)
        port = ports[f"port_{name}"]
        text = _CONFIG.format(folder=folder, port=port, gui=guis[name], **ids, **ports)
        (home / "config.xml").write_text(text)
    with ExitStack() as stack:
        pids: dict[str, int] = {}
        for name, home in homes.items():
            command = ["syncthing", "serve", "--no-browser", "--no-restart", "--home", home]
            env = {"STNOUPGRADE": "1", "STMONITORED": "yes", "HOME": str(place)}  # one process, no monitor
            pids[name] = stack.enter_context(started(command, place / f"{name}.log", env)).pid
        for gui in guis.values():
            wait_until(partial(listens, gui), "syncthing answers")
        yield pids


def _device(home: Path) -> str:
    """Make its key; returns its device id."""
    home.mkdir()
    command = ["syncthing", "generate", "--no-default-folder", "--skip-port-probing", "--home", str(home)]
    subprocess.run(command, check=True, capture_output=True)
    shown = subprocess.run(
        ["syncthing", "--home", str(home), "--device-id"], check=True, capture_output=True, text=True
    )
    return shown.stdout.split()[-1]
