"""What ``docs/embedding.md`` shows is run, block after block, as it stands there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import crdtsync
from tests.waiting import DEADLINE_S

PAGE = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"


async def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python run\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as stack:
        known: dict[str, object] = {"crdtsync": crdtsync, "stack": stack}
        for block in blocks:
            code = compile(block, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = eval(code, known)
            if inspect.isawaitable(running):
                await running


def test_the_first_block_is_python() -> None:
    first = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert first is not None
    ast.parse(first[1])


def test_every_name_that_the_page_shows_is_there() -> None:
    shown = set(re.findall(r"crdtsync\.([A-Za-z]+)", PAGE.read_text(encoding="utf-8")))
    assert {name for name in shown if not hasattr(crdtsync, name)} == set()
