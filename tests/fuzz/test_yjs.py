"""What the hub accepts, Yjs takes and shows as the same text. Skipped without Node or Yjs (``make fuzz``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.where import yjs_folder
from tests.fuzz.yjs import Yjs, compare_authors, compare_hostile, compare_straight


@pytest.fixture(scope="module")
def yjs() -> Iterator[Yjs]:
    folder = yjs_folder()
    if folder is None:
        pytest.skip("Node or Yjs is not here: `make fuzz` fetches Yjs, or CRDTSYNC_YJS names its folder")
    yjs = Yjs(folder)
    yield yjs
    yjs.close()


@pytest.mark.parametrize("compare", [compare_authors, compare_straight, compare_hostile])
def test_what_is_accepted_is_taken_by_yjs(compare: Callable[[Yjs, bytes], None], yjs: Yjs) -> None:
    @settings(
        max_examples=80,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.binary(min_size=20, max_size=300))
    def hold(entropy: bytes) -> None:
        compare(yjs, entropy)

    hold()
