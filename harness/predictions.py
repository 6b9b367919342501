"""What a subject answers: label scores, or generated text with its token count and stop reason, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import InputError


@dataclass(frozen=True)
class Predictions:
    """Answers to N examples, in the order they were asked.

    ids : N example ids.
    scores : float64 [N, C] log-probabilities or logits, classes or choices in order; where choices differ in number, -inf pads.
    texts : N generated answers after the answer filter; `raw_texts` before it.
    values : float64 [N] for regression.
    tokens, stops : N generated token counts and stop reasons ("stop", "length", "end").
    prompts : N prompts as rendered, for people to read; None where a method shows none.
    shared_prompt : what stands before every prompt (demonstrations), kept once.
    """

    ids: tuple[str, ...]
    scores: np.ndarray | None = None
    texts: tuple[str, ...] | None = None
    raw_texts: tuple[str, ...] | None = None
    values: np.ndarray | None = None
    tokens: tuple[int, ...] | None = None
    stops: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    shared_prompt: str = ""

    def __post_init__(self) -> None:
        for name in ("scores", "texts", "raw_texts", "values", "tokens", "stops", "prompts"):
            answers: Sequence[object] | np.ndarray | None = getattr(self, name)
            if answers is not None and len(answers) != len(self.ids):
                raise InputError(f"{len(answers)} {name} for {len(self.ids)} examples", key="predictions")

    @property
    def classes(self) -> np.ndarray:
        """int64 [N]: index of the highest score; the first one on ties."""
        if self.scores is None:
            raise InputError("these predictions have no label scores", key="predictions")
        return np.asarray(np.argmax(self.scores, axis=1), dtype=np.int64)
