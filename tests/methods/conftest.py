"""Small tasks of every kind, for the matrix that runs every method on the tiny random backbones of tests/conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.backbones.backbone import Backbone
from harness.backbones.load import load
from harness.registry import Entry
from harness.task import GeneratedTask, Row
from harness.templates import Template

FAMILIES = ("masked_lm", "causal_lm", "encoder_decoder")


@pytest.fixture(scope="session")
def backbone_of(backbone_folder: Callable[[str], Path]) -> Callable[[str], Backbone]:
    return lambda family: load({"folder": str(backbone_folder(family))})


class SmallTask(GeneratedTask):
    """Classification, choice or generation over a few dozen short texts."""

    pool_size, test_size = 60, 12
    words = ("cat", "dog", "red", "blue", "house", "tree", "water", "bread", "good", "bad", "small", "big")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            chosen = [str(word) for word in rng.choice(self.words, size=int(rng.integers(2, 7)))]
            number = int(rng.integers(10**9))
            yield self.row(f"{split}-{number}", " ".join(chosen), number)

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text}, number % 2)


class SmallChoice(SmallTask):
    kind = "choice"
    templates = {"plain": Template("{{ text }} . {{ answer }}")}

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text, "choices": ["yes", "no", "big house"][: 2 + number % 2]}, number % 2)


class SmallGeneration(SmallTask):
    kind = "generation"
    metrics = ("exact_match",)
    templates = {"plain": Template("{{ text }} : {{ answer }}")}
    max_new_tokens = 4

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text}, text.split()[0])


class SmallClasses(SmallTask):
    labels = ("no", "yes")
    templates = {"plain": Template("{{ text }} . it was {{ answer }} .", answers={"no": "bad", "yes": "good"})}


for _kind, _class in (("classification", SmallClasses), ("choice", SmallChoice), ("generation", SmallGeneration)):
    _class.entry = Entry("task", f"small-{_kind}")


@pytest.fixture(scope="session")
def small_tasks() -> dict[str, SmallTask]:
    return {"classification": SmallClasses(), "choice": SmallChoice(), "generation": SmallGeneration()}
