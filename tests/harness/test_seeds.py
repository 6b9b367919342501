"""Named random streams: apart from each other, the same wherever they are drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.seeds import STREAMS, Streams


def first(streams: Streams, *name: str) -> float:
    return float(streams.rng(*name).random())


@given(number=st.integers(0, 2**63))
def test_every_stream_is_its_own(number: int) -> None:
    streams = Streams(dict.fromkeys(STREAMS, number))
    assert len({first(streams, name) for name in STREAMS}) == len(STREAMS)
    assert first(streams, "init") == first(Streams({"init": number}), "init")


def test_holding_one_stream_leaves_it_while_others_vary() -> None:
    one, other = (Streams({"data": 0, "init": number}) for number in (1, 2))
    assert first(one, "data") == first(other, "data") and first(one, "init") != first(other, "init")


def test_a_stream_within_something_is_another_one() -> None:
    streams = Streams({"data": 0})
    assert first(streams, "data", "sst2") != first(streams, "data", "rte") != first(streams, "data")


def test_a_methods_own_stream_follows_init() -> None:
    assert first(Streams({"init": 1}), "policy") != first(Streams({"init": 2}), "policy")
    assert first(Streams({"init": 1, "data": 5}), "policy") == first(Streams({"init": 1, "data": 6}), "policy")


def test_integers_for_torch_fit_63_bits() -> None:
    numbers = {Streams({"init": seed}).integer("init") for seed in range(200)}
    assert len(numbers) == 200 and all(0 <= number < 2**63 for number in numbers)


def test_the_streams_are_the_same_for_ever() -> None:
    """Changing these numbers changes every stored answer: raise NUMERICS with them."""
    assert Streams({"data": 13}).rng("data", "sst2").integers(10**6, size=3).tolist() == [861600, 969062, 126398]
    assert Streams({"init": 0}).integer("init") == 7765724373420047372


@pytest.mark.parametrize("numbers", [{"data": -1}, {"data": 1.0}, {"data": True}, {"dta": 1}], ids=str)
def test_what_is_no_seed(numbers: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Streams(numbers)
