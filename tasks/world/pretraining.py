"""From text of the world to arrays of token ids: what each of the three kinds of model is trained on at a step.

A batch is a function of (seed, step) alone, so an interrupted run goes on with exactly the batches it would have had.
Weights say how much a position counts in the loss. An answer in an episode counts once its label word has been seen there; before that nobody can know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import documents, episodes
from .episodes import Document, Segment
from .meaning import Sampler
from .tokenizer import BOS, PAD, encoder

ANSWER_WEIGHT, TEXT_WEIGHT, ITEM_WEIGHT = 1.0, 0.3, 0.3
ITEM_SHARE = 0.12  # of an episode's other tokens, how many are predicted at all: they teach little and cost as much as the rest

Source = Callable[[Sampler], tuple[Document, bool]]
"""Draws a document and says whether it is an episode (True) or plain text."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A document as ids, with each position's weight in the loss."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class CausalBatch:
    """ids : [rows, length]; positions whose next token is predicted (flat index), that token, and its weight."""

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]


def plain(sampler: Sampler) -> Document:
    return [Segment(documents.document(sampler))]


def encode(document: Document, sampler: Sampler, *, labelled: bool) -> Tokens:
    """Ids and weights of a document."""
    encode_text, seen = encoder(), set()
    ids: list[int] = []
    weights: list[float] = []
    for segment in document:
        new = encode_text.glued(segment.text) if segment.glued else encode_text(segment.text)
        if segment.answer:
            weight = ANSWER_WEIGHT if segment.text in seen or segment.known else 0.0
            seen.add(segment.text)
            weights += [weight] * len(new)
        elif labelled:
            weights += [ITEM_WEIGHT if chance < ITEM_SHARE else 0.0 for chance in sampler.rng.random(len(new)).tolist()]
        else:
            weights += [TEXT_WEIGHT] * len(new)
        ids += new
    return Tokens(ids, weights)


def causal_batch(source: Source, seed: int, step: int, *, rows: int, length: int) -> CausalBatch:
    """Rows filled with whole documents, each begun by `<s>`; the last one of a row is cut."""
    sampler = Sampler(np.random.default_rng(np.random.SeedSequence([seed, step, 1])))
    ids = np.full((rows, length + 1), PAD, np.int64)
    weights = np.zeros((rows, length + 1), np.float32)
    for row in range(rows):
        filled = 0
        while filled < length + 1:
            document, labelled = source(sampler)
            tokens = encode(document, sampler, labelled=labelled)
            new = np.array([BOS, *tokens.ids], np.int64)[: length + 1 - filled]
            ids[row, filled : filled + len(new)] = new
            weights[row, filled + 1 : filled + len(new)] = tokens.weights[: len(new) - 1]
            filled += len(new)
    chosen = np.flatnonzero(weights[:, 1:])
    return CausalBatch(ids[:, :-1], chosen, ids[:, 1:].reshape(-1)[chosen], weights[:, 1:].reshape(-1)[chosen])


def episodes_and_text(labelled_share: float, items: int = 12) -> Source:
    """Random-label episodes and plain text."""

    def draw(sampler: Sampler) -> tuple[Document, bool]:
        if sampler.chance(labelled_share):
            return episodes.episode(sampler, items=items), True
        return plain(sampler), False

    return draw
