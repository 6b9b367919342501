"""Two small tasks that engine tests find by name, as an outsider's entries are found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.registry import task
from harness.task import GeneratedTask, Row
from harness.templates import Template

WORDS = ("cat", "dog", "red", "blue", "house", "tree", "water", "bread", "good", "bad", "small", "big")


class Words(GeneratedTask):
    """A few words a row."""

    pool_size, test_size = 80, 12

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            chosen = [str(word) for word in rng.choice(WORDS, size=int(rng.integers(2, 7)))]
            yield self.row(f"{split}-{rng.integers(10**9)}", chosen)

    def row(self, name: str, chosen: list[str]) -> Row:
        raise NotImplementedError


@task("word-parity", tags=("test",))
class WordParity(Words):
    """Is the number of words odd?"""

    labels = ("even", "odd")
    metrics = ("accuracy", "f1_macro", "nll")
    floor = 0.5
    templates = {
        "plain": Template("{{ text }} . it was {{ answer }} .", answers={"even": "bad", "odd": "good"}),
        "other": Template("{{ answer }} : {{ text }}", answers={"even": "small", "odd": "big"}),
    }

    def row(self, name: str, chosen: list[str]) -> Row:
        return Row(name, {"text": " ".join(chosen)}, len(chosen) % 2)


@task("first-word", tags=("test",))
class FirstWord(Words):
    """Say the first word."""

    kind = "generation"
    metrics = ("exact_match",)
    templates = {"plain": Template("{{ text }} : {{ answer }}")}
    max_new_tokens = 3

    def row(self, name: str, chosen: list[str]) -> Row:
        return Row(name, {"text": " ".join(chosen)}, chosen[0])


@task("word-parity-again", tags=("test",))
class WordParityAgain(WordParity):
    """The rows of word-parity under another name."""

    def _rng(self, split: str) -> np.random.Generator:
        return WordParity()._rng(split)


@task("first-word-class", tags=("test",))
class FirstWordClass(Words):
    """Does the first word stand early in the list of words?"""

    labels = ("late", "early")
    floor = 0.5
    templates = {"plain": Template("{{ text }} . it was {{ answer }} .", answers={"late": "bad", "early": "good"})}

    def row(self, name: str, chosen: list[str]) -> Row:
        return Row(name, {"text": " ".join(["then", *chosen])}, int(WORDS.index(chosen[0]) < 6))  # no text of the other tasks
