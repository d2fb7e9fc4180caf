"""A hostile member ends no hub, learns nothing of other rooms, and keeps honest members from nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import hostile_member


@given(st.binary(min_size=100, max_size=1500))
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_a_hostile_member_harms_nobody(entropy: bytes) -> None:
    hostile_member.run(entropy)
