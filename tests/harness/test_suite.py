"""Suites: what a file becomes, what `--set` lays over it, and that no override drops a sibling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import catalog
from harness.errors import InputError
from harness.seeds import STREAMS
from harness.suite import MethodSpec, SeedSpec, Suite, Unit, load_suite

SHIPPED = (
    *(
        "all-quick",
        "diffusion",
        "glue-fewshot",
        "graph",
        "icl",
        "icl-hub",
        "quickstart",
        "real-encoder",
        "sanity",
        "superglue-prompt-tuning",
    ),
    *("test-time", "text-fewshot", "text-systems", "vision", "vision-language"),
)


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


PARTS = [{"methods": ["knn"], "shots": 1}, {"methods": ["zero-shot", "knn"], "tasks": ["first-word-class"], "family": "other"}]


def test_keys_of_a_part_are_laid_over_the_suites(suite_file) -> None:
    suite = load_suite(suite_file(methods=None, parts=PARTS), {"budget.steps": 3})
    one, other = suite.grids
    assert ([spec.name for spec in one.methods], [spec.name for spec in one.tasks], one.shots) == (["knn"], ["word-parity"], [1])
    assert ([spec.name for spec in other.methods], [spec.name for spec in other.tasks], other.shots) == (
        ["zero-shot", "knn"],
        ["first-word-class"],
        [4],
    )
    assert [grid.budget for grid in suite.grids] == [{"steps": 3}] * 2, "what stands beside the parts is for all of them"
    assert load_suite(suite_file("whole")).grids[0].suite == "whole", "a suite without parts is its own grid"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"parts": [{"methods": ["kn"]}]}, ":8: parts[0].methods[0]: unknown method 'kn'; did you mean knn"),
        ({"parts": [{"methods": ["knn"], "shot": 2}]}, ":8: parts.0.shot: unknown key 'shot'; did you mean shots"),
        ({"parts": [{"methods": ["knn"]}, {"methods": ["knn"], "seeds": "two"}]}, ":8: parts.1.seeds: 'two' does not fit"),
        ({"parts": [{"methods": ["knn"], "baseline": "knn"}]}, ":8: parts.0.baseline: all parts of a suite share its baseline"),
        ({"parts": [{"methods": ["knn"], "shots": 2}]}, ":5: shots: every part says its own"),
        ({"parts": ["knn"]}, ":8: parts: is no list of mappings"),
        (
            {"parts": [{"methods": ["knn"]}], "protocol": "setfit", "shots": None, "seeds": None, "dev": 3},
            ": dev: 3 overrides protocol setfit",
        ),
        ({"parts": [{"methods": ["knn"]}, {"tasks": ["word-parity"]}]}, "methods: is missing"),
    ],
)
def test_what_is_wrong_in_a_part_is_told_with_its_line(suite_file, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        load_suite(suite_file(**{"methods": None, **keys}))
    assert said in error.value.one_line()
