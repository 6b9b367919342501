"""Suites: what a file becomes, what `--set` lays over it, and that no override drops a sibling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import catalog
from harness.errors import InputError
from harness.seeds import STREAMS
from harness.suite import MethodSpec, SeedSpec, Suite, Unit, load_suite

SHIPPED = ("quickstart", "text-fewshot", "icl", "sanity", "glue-fewshot", "superglue-prompt-tuning", "icl-hub", "test-time", "graph")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_suites_load_and_ask_a_question(name: str) -> None:
    suite = load_suite(name)
    assert suite.suite == name and suite.question.endswith("?")


def test_every_shipped_suite_is_tested_here() -> None:
    assert {found.name for found in catalog.entries("suite")} == set(SHIPPED)


def test_short_forms_are_long_forms(suite_file) -> None:
    short = load_suite(suite_file(backbones="tiny-masked-lm", methods="knn", tasks="word-parity", shots=4, seeds=2))
    long = load_suite(
        suite_file(
            backbones=[{"name": "tiny-masked-lm"}], methods=[{"name": "knn"}], tasks=[{"name": "word-parity"}], shots=[4], seeds=[0, 1]
        )
    )
    assert short.model_dump() == long.model_dump()


@pytest.mark.parametrize(
    ("value", "numbers"), [(3, [0, 1, 2]), ("0..2", [0, 1, 2]), ([13, 21], [13, 21]), ({"count": 2}, [0, 1]), ({"numbers": [5]}, [5])]
)
def test_seeds_in_every_form(suite_file, value: Any, numbers: list[int]) -> None:
    assert load_suite(suite_file(seeds=value)).seeds.numbers == numbers


def test_streams_that_vary_and_streams_that_are_held() -> None:
    assert SeedSpec(numbers=[3]).streams(3) == dict.fromkeys(STREAMS, 3)
    held = SeedSpec(numbers=[3], vary=["init"], hold={"data": 7}).streams(3)
    assert held == {"data": 7, "demos": 0, "init": 3, "order": 0, "noise": 0}


def test_a_grid_is_every_point_with_a_label_of_its_own() -> None:
    spec = MethodSpec(name="lora", config={"steps": 5, "rank": 1}, grid={"rank": [2, 4], "learning_rate": [0.1]})
    assert spec.variants() == [
        ("lora rank=2 learning_rate=0.1", {"steps": 5, "rank": 2, "learning_rate": 0.1}),
        ("lora rank=4 learning_rate=0.1", {"steps": 5, "rank": 4, "learning_rate": 0.1}),
    ]


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("budget.steps", 7, lambda suite: suite.budget["steps"]),
        ("methods.0.config.k", 7, lambda suite: suite.methods[0].config["k"]),
        ("methods.1.config.rank", 7, lambda suite: suite.methods[1].config["rank"]),
        ("seeds", [7], lambda suite: suite.seeds.numbers[0]),
        ("tasks.0.templates", ["plain"], lambda suite: 7 if suite.tasks[0].templates == ["plain"] else 0),
    ],
)
def test_dotted_keys_reach_everything(suite_file, key: str, value: Any, read: Any) -> None:
    file = suite_file(methods=["knn", {"name": "lora", "config": {"rank": 2, "steps": 9}}])
    suite = load_suite(file, {key: value})
    assert read(suite) == 7
    assert suite.methods[1].config["steps"] == 9, "a sibling was dropped"


def test_a_protocol_cannot_be_overridden(suite_file) -> None:
    with pytest.raises(InputError, match="overrides protocol lm-bff; it freezes"):
        load_suite("glue-fewshot", {"shots": 3})


def test_units_are_those_of_the_training_loop() -> None:
    from typing import get_args

    from harness.training import UNITS

    assert get_args(Unit) == UNITS


def test_errors_can_say_where_also_after_loading(suite_file) -> None:
    file: Path = suite_file()
    error = load_suite(file).error(("tasks", 0), InputError("is wrong", key="config"))
    assert error.one_line() == f"{file}:5: tasks[0].config: is wrong"
    assert isinstance(load_suite(file), Suite)
