"""What a subject answers: label scores, or generated text with its token count and stop reason, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    measures : further numbers of every example by name, float64 [N] each, NaN where undefined (an edit's efficacy, a drawn
        image's match); metrics of those names average them.
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
    measures: Mapping[str, np.ndarray] = field(default_factory=dict)
    shared_prompt: str = ""

    def __post_init__(self) -> None:
        for name in ("scores", "texts", "raw_texts", "values", "tokens", "stops", "prompts"):
            answers: Sequence[object] | np.ndarray | None = getattr(self, name)
            if answers is not None and len(answers) != len(self.ids):
                raise InputError(f"{len(answers)} {name} for {len(self.ids)} examples", key="predictions")
        for name, numbers in self.measures.items():
            if len(numbers) != len(self.ids):
                raise InputError(f"{len(numbers)} numbers of {name} for {len(self.ids)} examples", key="predictions")

    @property
    def classes(self) -> np.ndarray:
        """int64 [N]: index of the highest score; the first one on ties."""
        if self.scores is None:
            raise InputError("these predictions have no label scores", key="predictions")
        return np.asarray(np.argmax(self.scores, axis=1), dtype=np.int64)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of several batches as one, in order. InputError where they are not of one kind."""
    if not parts:
        return Predictions(())
    first = parts[0]
    fields = [name for name in ("texts", "raw_texts", "tokens", "stops", "prompts") if getattr(first, name) is not None]
    arrays = [name for name in ("scores", "values") if getattr(first, name) is not None]
    if any(getattr(part, name) is None for part in parts for name in (*fields, *arrays)) or any(
        set(p.measures) != set(first.measures) for p in parts
    ):
        raise InputError("batches were answered in different ways", key="predictions")
    together: dict[str, Any] = {name: tuple(answer for part in parts for answer in getattr(part, name)) for name in fields}
    stacked: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
    measures = {name: np.concatenate([part.measures[name] for part in parts]) for name in first.measures}
    ids = tuple(name for part in parts for name in part.ids)
    return Predictions(ids, **together, **stacked, measures=measures, shared_prompt=first.shared_prompt)
