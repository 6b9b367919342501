"""From text of the world to arrays of token ids: what each of the three kinds of model is trained on at a step.

A batch is a function of (seed, step) alone, so an interrupted run goes on with exactly the batches it would have had.
Weights say how much a position counts in the loss. An answer in an episode counts once its label word has been seen there; before that nobody can know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import documents, episodes, lexicon, render
from .episodes import Document, Segment
from .meaning import Sampler
from .prompted import Prompted
from .tokenizer import BOS, EOS, MASK, PAD, SENTINELS, SIZE, encoder

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


def episodes_and_text(labelled_share: float, *, partitions: episodes.Partitions = episodes.PARTITIONS, copied_share: float = 0.0) -> Source:
    """Random-label episodes of twelve items, words said twice, and plain text; shares are of documents."""

    def draw(sampler: Sampler) -> tuple[Document, bool]:
        if sampler.chance(labelled_share):
            if sampler.chance(copied_share):
                return episodes.copies(sampler), True
            return episodes.episode(sampler, partitions=partitions), True
        return plain(sampler), False

    return draw


def everything(
    prompted: Prompted,
    *,
    prompted_share: float = 0.35,
    labelled_share: float = 0.15,
    told_share: float = 0.0,
    most: int = 10,
    words: int = 170,
    renamed: float = 0.3,
    free: float = 0.0,
    bare: bool = False,
    partitions: episodes.Partitions = episodes.PARTITIONS,
) -> Source:
    """Prompted tasks, random-label episodes, words and clauses with what they amount to, and plain text for the rest; shares are of documents."""

    def draw(sampler: Sampler) -> tuple[Document, bool]:
        point = sampler.rng.random()
        if point < prompted_share:
            return prompted.document(sampler, most=most, words=words, renamed=renamed, free=free, bare=bare), True
        if point < prompted_share + labelled_share:
            return episodes.episode(sampler, partitions=partitions, bare=bare), True
        if point < prompted_share + labelled_share + told_share:
            return episodes.told(sampler), True
        return plain(sampler), False

    return draw


@dataclass(frozen=True)
class MaskedBatch:
    """ids, mask, places : [rows, length] with their attention mask and position ids; flat positions to fill in, the token of each, and its weight."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    places: NDArray[np.int64]
    positions: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]


def masked_batch(source: Source, seed: int, step: int, *, rows: int, length: int, longest: int = 512, density: float = 0.15) -> MaskedBatch:
    """Rows `<s> text </s> text </s> ..` with gaps: most answers of prompted text, and a fifth of plain text's tokens.

    A tenth of the rows have their positions shifted, so that all of `longest` positions are trained on short rows.
    """
    sampler = Sampler(np.random.default_rng(np.random.SeedSequence([seed, step, 2])))
    ids = np.full((rows, length), PAD, np.int64)
    weights = np.zeros((rows, length), np.float32)
    for row in range(rows):
        ids[row, 0], filled = BOS, 1
        while filled < length - 8:
            document, labelled = source(sampler)
            tokens = encode(document, sampler, labelled=labelled)
            number = min(len(tokens.ids), length - 1 - filled)
            ids[row, filled : filled + number] = tokens.ids[:number]
            ids[row, filled + number] = EOS
            weights[row, filled : filled + number] = gaps(tokens, sampler, density if labelled else 0.2, labelled=labelled)[:number]
            filled += number + 1
    positions = np.flatnonzero(weights)
    flat = ids.reshape(-1).copy()
    fate = sampler.rng.random(len(positions))
    answers = weights.reshape(-1)[positions] == ANSWER_WEIGHT
    flat[positions[(fate < 0.8) | answers]] = MASK
    random = positions[(fate >= 0.9) & ~answers]
    flat[random] = sampler.rng.integers(MASK + 1, SIZE, len(random))
    offsets = np.where(sampler.rng.random(rows) < 0.1, sampler.rng.integers(0, longest - length + 1, rows), 0)
    places = np.arange(length)[None, :] + offsets[:, None]
    return MaskedBatch(
        flat.reshape(rows, length),
        (ids != PAD).astype(np.int64),
        places,
        positions,
        ids.reshape(-1)[positions],
        weights.reshape(-1)[positions],
    )


def gaps(tokens: Tokens, sampler: Sampler, density: float, *, labelled: bool) -> NDArray[np.float32]:
    """Which tokens of a document are to be filled in, by their weight: answers mostly, the `density` share of other tokens."""
    weights, chance = np.array(tokens.weights, np.float32), sampler.rng.random(len(tokens.ids))
    if not labelled:
        return np.where(chance < density, np.float32(TEXT_WEIGHT), np.float32(0))
    answers = weights == ANSWER_WEIGHT
    return np.where(answers, np.where(chance < 0.7, weights, 0), np.where(chance < density, ITEM_WEIGHT, 0)).astype(np.float32)


@dataclass(frozen=True)
class SentenceBatch:
    """ids : [rows, length], padded; and words to be told from a row's mean state: the row of each and its token."""

    ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]


def sentence_batch(seed: int, step: int, *, rows: int, length: int = 24) -> SentenceBatch:
    """Sentences with the words of their translation, their topic and what they amount to: what a sentence's mean state should hold."""
    sampler = Sampler(np.random.default_rng(np.random.SeedSequence([seed, step, 3])))
    encode_text = encoder()
    ids = np.full((rows, length), PAD, np.int64)
    where: list[int] = []
    targets: list[int] = []
    for row in range(rows):
        topic = sampler.topic()
        value = sampler.pick((-2, -1, 0, 1, 2))
        opinion = sampler.chance(0.6)
        clause = sampler.opinion(value, sampler.thing(topic), negation=0.4) if opinion else sampler.event(topic)
        source, target = sampler.some(lexicon.LANGUAGES, 2)
        words = [BOS, *encode_text(render.say(clause, source) + "."), EOS][:length]
        ids[row, : len(words)] = words
        told = encode_text(render.say(clause, target)) + encode_text(topic)
        told += 3 * encode_text("good" if value > 0 else "bad") if opinion and value else []
        where += [row] * len(told)
        targets += told
    return SentenceBatch(ids, np.array(where, np.int64), np.array(targets, np.int64))


@dataclass(frozen=True)
class PairBatch:
    """inputs : [rows, length], padded; targets : [rows, length], -100 where there is none; weights like targets."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]


def pair_batch(
    prompted: Prompted, seed: int, step: int, *, rows: int, longest: int = 96, text_share: float = 0.35, told_share: float = 0.0
) -> PairBatch:
    """Prompted text with its answer, sometimes after a demonstration; and plain text with spans left out, or cut in two (as in LM adaptation); sorted by length."""
    sampler = Sampler(np.random.default_rng(np.random.SeedSequence([seed, step, 4])))
    pairs = []
    for _ in range(rows):
        if sampler.chance(text_share):
            ids = encoder()(" ".join(documents.document(sampler) for _ in range(2)))[: longest - 8]
            pairs.append((*(spans(ids, sampler) if sampler.chance(0.6) else cut(ids, sampler)), TEXT_WEIGHT))
        elif told_share and sampler.chance(told_share):
            *_, text, label, _ = episodes.told(sampler, items=1)
            pairs.append((encoder()(text.text), encoder()(label.text), ANSWER_WEIGHT))
        else:
            before, answer = prompted.pair(sampler)
            pairs.append((encoder()(before)[-longest + 1 :], encoder()(answer), ANSWER_WEIGHT))
    pairs.sort(key=lambda pair: len(pair[0]))
    inputs = np.full((rows, 1 + max(len(source) for source, _, _ in pairs)), PAD, np.int64)
    targets = np.full((rows, 1 + max(len(target) for _, target, _ in pairs)), -100, np.int64)
    weights = np.zeros(targets.shape, np.float32)
    for row, (source, target, weight) in enumerate(pairs):
        inputs[row, : len(source) + 1] = [*source, EOS]
        targets[row, : len(target) + 1] = [*target, EOS]
        weights[row, : len(target) + 1] = weight
    return PairBatch(inputs, targets, weights)


def cut(ids: list[int], sampler: Sampler) -> tuple[list[int], list[int]]:
    """A text cut in two: what comes, and up to a dozen tokens of what follows."""
    at = 1 + sampler.below(max(1, len(ids) - 2))
    return ids[:at], ids[at : at + 12]


def spans(ids: list[int], sampler: Sampler) -> tuple[list[int], list[int]]:
    """T5's span corruption: some spans of one to three tokens left out for sentinels, which the target repeats with what stood there."""
    source: list[int] = []
    target: list[int] = []
    at = sentinel = 0
    while at < len(ids):
        if sampler.chance(0.1) and sentinel < len(SENTINELS):
            number = 1 + sampler.below(3)
            mark = MASK + 1 + sentinel
            source.append(mark)
            target += [mark, *ids[at : at + number]]
            sentinel, at = sentinel + 1, at + number
        else:
            source.append(ids[at])
            at += 1
    return (source, target) if target else ([MASK + 1, *ids[1:]], [MASK + 1, ids[0]])
