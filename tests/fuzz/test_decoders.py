"""Every decoder, with input made up and damaged: it takes it, or raises what it documents, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.decoders import DECODERS, case


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_raises_only_what_it_documents(name: str) -> None:
    decoder = DECODERS[name]

    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(st.binary(max_size=400))
    def hold(entropy: bytes) -> None:
        decoder.takes(case(decoder, entropy))

    hold()


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_made_up_without_damage_is_mostly_accepted(name: str) -> None:
    """Otherwise the campaign would only ever see the first check of each decoder."""
    decoder = DECODERS[name]
    taken = 0

    @settings(max_examples=100, derandomize=True, deadline=None, database=None)
    @given(st.binary(min_size=20, max_size=400))
    def count(entropy: bytes) -> None:
        nonlocal taken
        taken += decoder.takes(decoder.make(Choices(entropy)))

    count()
    assert taken > 20
