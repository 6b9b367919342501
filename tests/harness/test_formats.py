"""Formats as a population of templates: how many, by what names, what they render, and how suites sample them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import api, catalog
from harness.demonstrations import demonstration_text
from harness.errors import InputError
from harness.formats import Format, population, sample
from harness.task import Row
from harness.text import template_of


@functools.cache
def task(name: str) -> Any:
    return catalog.load("task", name)()


@pytest.mark.parametrize(("name", "count"), [("world-sentiment", 240), ("world-topic", 192), ("world-question", 96)])
def test_the_population_is_the_papers(name: str, count: int) -> None:
    asked = task(name)
    formats = population(asked)
    assert len(formats) == len({one.name for one in formats}) == count
    rendered = {(one.template(asked).text, one.template(asked).separator) for one in formats}
    assert len(rendered) == count, "no two formats look alike"


def test_a_name_comes_back_as_the_format_and_renders_like_it() -> None:
    asked = task("world-sentiment")
    for one in population(asked):
        assert Format.parse(one.name) == one
    template = template_of(asked, "format.sentence.line.it-was.blank")
    assert template.render({"text": "fine soup"}, asked.labels).filled("positive") == "sentence: fine soup\nIt was positive."
    assert template.render({"text": "fine soup"}, asked.labels).answers == ("negative", "positive")
    rows = [Row("1", {"text": "a"}, 0), Row("2", {"text": "b"}, 1)]
    assert demonstration_text(asked, template, rows) == "sentence: a\nIt was negative.\n\nsentence: b\nIt was positive.\n\n"
    bare = template_of(asked, "format.bare.space.plain.space")
    assert bare.render({"text": "fine soup"}, asked.labels).filled("positive") == "fine soup positive"


@pytest.mark.parametrize("name", ["format", "format.text.line.label", "format.text.line.labels.blank", "format.text.tab.label.blank"])
def test_what_is_no_format_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="format"):
        Format.parse(name)


def test_samples_are_drawn_without_repetition_and_by_their_seed() -> None:
    formats = population(task("world-topic"))
    first, again, other = (sample(formats, 10, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again != other and len(set(first)) == 10
    with pytest.raises(InputError, match="193 of 192"):
        sample(formats, 193, np.random.default_rng(0))


def test_a_suite_samples_the_same_formats_for_every_method_and_seed(suite_file: Callable[..., Path]) -> None:
    suite = suite_file(methods=["zero-shot", "knn"], templates={"sample": 3}, seeds=2)
    cells = api.plan(suite, device="cpu").cells
    used = {cell.trial.template for cell in cells if cell.arm == "zero-shot"}
    assert len(used) == 3 and all(str(name).startswith("format.") for name in used)
    assert {cell.trial.template for cell in cells if cell.arm == "knn"} == {None}
    again = {cell.trial.template for cell in api.plan(suite, device="cpu").cells if cell.arm == "zero-shot"}
    other = api.plan(suite_file("other", templates={"sample": 3, "seed": 5}), device="cpu").cells
    assert used == again != {cell.trial.template for cell in other}
    named = api.plan(suite_file("named", templates=["format.text.line.label.blank"], seeds=1), device="cpu").cells
    assert [cell.trial.template for cell in named] == ["format.text.line.label.blank"]


def test_a_trial_under_a_format_runs_and_shows_its_prompt(suite_file: Callable[..., Path], run, tmp_path: Path) -> None:
    run(suite_file(templates=["format.sentence.line.label.blank"], seeds=1))
    results = api.load_results(tmp_path / "store")
    prompt = results.records(results.trials["trial_id"].iloc[0])["prompt"].iloc[0]
    assert prompt.startswith("sentence: ") and prompt.endswith("\nlabel: ____")


@pytest.mark.parametrize(
    ("templates", "words"),
    [
        ({"sample": 0}, "greater than or equal to 1"),
        ({"sample": 500}, "500 of 96"),
        ({"sample": 2, "sed": 1}, "sed"),
        (["format.x"], "format"),
    ],
)
def test_wrong_samples_are_one_clear_error(suite_file: Callable[..., Path], templates: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        api.plan(suite_file(templates=templates), device="cpu")


def test_formats_are_for_classes_of_one_text(suite_file: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="classes of one text"):
        api.plan(suite_file(tasks=["world-entailment"], templates={"sample": 2}), device="cpu")
