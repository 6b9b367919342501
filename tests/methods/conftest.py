"""Small tasks of every kind, for the matrix that runs every method on the tiny random backbones of tests/conftest.py."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.backbones.load import load
from harness.registry import Entry
from harness.task import GeneratedTask, Row
from harness.templates import Template

TEXT_FAMILIES = ("masked_lm", "causal_lm", "encoder_decoder")
KINDS = ("classification", "choice", "generation", "stream", "editing")

# Families that do not read text, each with a module beside this one that gives `backbone() -> Pretrained` (tiny, random weights)
# and `tasks() -> {kind: Task}` (a few dozen rows). The matrix runs every method on all of them.
OTHER_FAMILIES: dict[str, str] = {
    "image_text": "image_text",
    "convnet": "convnet",
    "vision_transformer": "vision_transformer",
    "graph": "graph",
    "text_to_image": "text_to_image",
}


def other(family: str) -> Any:
    """The module of a family that does not read text."""
    return importlib.import_module(f".{OTHER_FAMILIES[family]}", __package__)


@pytest.fixture(scope="session")
def backbone_of(backbone_folder: Callable[[str], Path]) -> Callable[[str], Any]:
    kept: dict[str, Any] = {}

    def make(family: str) -> Any:
        if family in TEXT_FAMILIES:
            return load({"folder": str(backbone_folder(family))})
        return kept.setdefault(family, other(family).backbone())

    return make


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


@pytest.fixture(scope="session")
def family_tasks(small_tasks: dict[str, SmallTask]) -> dict[str, dict[str, Any]]:
    """family -> kind -> task."""
    return {**dict.fromkeys(TEXT_FAMILIES, small_tasks), **{family: other(family).tasks() for family in OTHER_FAMILIES}}
