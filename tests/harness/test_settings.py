"""Settings: types, ranges, effective configurations, search spaces, inheritance, and merging without dropping siblings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.settings import Configurable, choice, log_uniform, merged, setting, uniform, whole_uniform

patient = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine


class Inner(Configurable):
    rank: int = setting(8, at_least=1, at_most=64, search=choice(2, 4, 8))
    rate: float = setting(1e-3, above=0, below=1, search=log_uniform(1e-4, 1e-1))
    mode: str = setting("a", one_of=("a", "b"))
    limit: int | None = setting(None, at_least=0)
    names: tuple[str, ...] = setting(("x",))
    flag: bool = setting(False)
    anything: Any = setting(None)


class Mixin:
    extra: float = setting(0.5, search=uniform(0, 1))


class Outer(Inner, Mixin):
    rank: int = setting(4, at_least=1, search=whole_uniform(1, 9))


def test_every_setting_is_in_the_effective_configuration() -> None:
    assert Inner(rank=2).config == {"rank": 2, "rate": 1e-3, "mode": "a", "limit": None, "names": ("x",), "flag": False, "anything": None}


def test_settings_are_inherited_from_every_base_and_may_be_declared_anew() -> None:
    assert Outer().config == {"extra": 0.5, **Inner().config, "rank": 4}
    assert set(Outer.search_space()) == {"rank", "rate", "extra"}
    assert Inner().rank == 8, "the base is as it was"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("rank", 4.0, 4),
        ("rate", 0, None),
        ("rate", 5e-1, 0.5),
        ("names", ["a", "b"], ("a", "b")),
        ("limit", 3, 3),
        ("limit", None, None),
        ("flag", True, True),
        ("anything", {"a": [1]}, {"a": [1]}),
    ],
)
def test_values_become_the_declared_type(name: str, given: Any, taken: Any) -> None:
    if taken is None and given is not None:
        with pytest.raises(InputError):
            Inner(**{name: given})
        return
    value = getattr(Inner(**{name: given}), name)
    assert value == taken and type(value) is type(taken)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rank", 0, "rank: 0 is out of range; must be at least 1, at most 64"),
        ("rank", 65, "out of range"),
        ("rank", 2.5, "rank: 2.5 is a float; must be int"),
        ("rank", "4", "'4' is a str"),
        ("rank", True, "True is a bool"),
        ("rank", None, "None is a NoneType"),
        ("rate", 0.0, "must be above 0, below 1"),
        ("rate", 1, "out of range"),
        ("rate", math.nan, "out of range"),
        ("mode", "c", "must be one of a, b"),
        ("limit", -1, "out of range"),
        ("limit", "many", "'many' is a str"),
        ("flag", 1, "1 is a int"),
        ("rnak", 4, "unknown setting 'rnak'; did you mean rank"),
    ],
)
def test_what_does_not_fit_names_the_setting_and_what_would(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Inner(**{name: value})
    assert message in str(caught.value)


@patient
@given(st.integers(0, 2**32 - 1))
def test_what_is_sampled_fits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = Outer.sample_config(lambda name: rng)
    assert set(config) == set(Outer.search_space())
    taken = Outer(**config).config
    assert 1 <= taken["rank"] <= 9 and 1e-4 <= taken["rate"] <= 1e-1 and 0 <= taken["extra"] <= 1


def test_each_setting_has_its_own_stream_so_that_adding_one_shifts_no_other() -> None:
    def streams(name: str) -> np.random.Generator:
        return np.random.default_rng(list(name.encode()))

    assert Inner.sample_config(streams)["rate"] == Outer.sample_config(streams)["rate"]


nested = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8).filter(
    lambda value: isinstance(value, dict)
)


@patient
@given(nested, nested)
def test_merging_lays_one_over_the_other_at_every_depth(base: dict[str, Any], override: dict[str, Any]) -> None:
    result = merged(base, override)
    assert set(result) == set(base) | set(override)
    for key, value in result.items():
        if key not in override:
            assert value == base[key]
        elif isinstance(base.get(key), dict) and isinstance(override[key], dict):
            assert value == merged(base[key], override[key])
        else:
            assert value == override[key]
    assert merged(result, override) == result


def test_overriding_one_field_keeps_its_siblings_and_changes_nothing_given() -> None:
    base = {"optimiser": {"rate": 1, "decay": 2}}
    assert merged(base, {"optimiser": {"rate": 3}}) == {"optimiser": {"rate": 3, "decay": 2}}
    assert base == {"optimiser": {"rate": 1, "decay": 2}}
