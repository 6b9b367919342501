"""Trials as values: what their identity holds, and what it does not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.identity import canonical
from harness.trial import Trial, backbone_name

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def trial(**changes: Any) -> Trial:
    values: dict[str, Any] = {
        "task": "t", "task_config": {}, "backbone": {"name": "b"}, "method": "m", "config": {"rank": 8}, "template": None,
        "train": {"per_class": 4}, "dev": {"per_class": 0}, "seeds": {"data": 0, "init": 0},
    }  # fmt: skip
    return Trial(**{**values, **changes})


@given(config=st.dictionaries(st.text(max_size=4), plain, max_size=4))
def test_a_trial_survives_its_json(config: dict[str, Any]) -> None:
    one = trial(config=config)
    again = Trial.from_value(json.loads(canonical(one.value())))
    assert again.trial_id == one.trial_id and hash(again) == hash(one)


def test_the_order_of_keys_and_the_kind_of_a_whole_number_ask_the_same_question() -> None:
    assert trial(config={"a": 1, "b": 2.0}).trial_id == trial(config={"b": 2, "a": 1}).trial_id
    assert trial(config={"a": (1, 2)}).trial_id == trial(config={"a": [1, 2]}).trial_id
    assert trial(config={"a": 1}).trial_id != trial(config={"a": "1"}).trial_id
    assert trial(config={"a": 1}).trial_id != trial(config={"a": True}).trial_id


def test_the_run_key_holds_the_question_and_all_that_the_answer_depends_on() -> None:
    one = trial()
    assert one.run_key({"device": "cpu"}) != one.run_key({"device": "cuda"})
    assert one.run_key({"device": "cpu"}) != trial(method="n").run_key({"device": "cpu"})
    assert one.run_key({"a": 1, "b": 2}) == one.run_key({"b": 2, "a": 1})


def test_a_trial_in_words() -> None:
    assert str(trial()) == "m on t with b, seed 0"
    assert str(trial(seeds={"data": 1, "init": 2})) == 'm on t with b, {"data":1,"init":2}'


def test_backbone_names() -> None:
    assert backbone_name({"hub": "org/model", "revision": "abc"}) == "org/model@abc"
    assert backbone_name({"folder": "/models/mine/"}) == "mine"
    assert backbone_name({"name": "tiny", "untrained": 0}) == "tiny (untrained)"
