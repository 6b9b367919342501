"""Log-probabilities of given answers, the same way for every family: which rows to run, and which token to read at which place.

A masked model reads an answer of k pieces at k masks (independently, in one pass for each k), a causal model behind the text, an
encoder-decoder in its decoder over one encoder pass an item. Only the places that are read are projected onto the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from harness.backbones import forward
from harness.backbones.branches import BranchedRow, bodies
from harness.backbones.injection import Injection
from harness.errors import InputError, UnsupportedError
from harness.templates import Rendered

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone

Reduction = Literal["joint", "mean", "first"]
Answers = list[list[tuple[int, ...]]]
"""Ids of each item's answers."""


@dataclass
class Reading:
    """What to read: answer number `pair` is worth the sum of log p(token) at (row, place) over its tokens."""

    pairs: list[tuple[int, int]] = field(default_factory=list)  # (item, answer)
    pair: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)  # index into `places`
    token: list[int] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)  # (row, place in the row) -> number

    def add(self, item: int, answer: int, row: int, places: Sequence[int], ids: Sequence[int]) -> None:
        """The answer's token j is read at places[j] of the row."""
        number = len(self.pairs)
        self.pairs.append((item, answer))
        for place, token in zip(places, ids):
            self.pair.append(number)
            self.place.append(self.places.setdefault((row, place), len(self.places)))
            self.token.append(token)

    def scores(self, logits: Tensor, width: int, items: int, *, mean: bool) -> Tensor:
        """float [items, width] from logits [places, V]; -inf where an item has fewer answers."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        device = logits.device
        place, pair = torch.tensor(self.place, device=device), torch.tensor(self.pair, device=device)
        normaliser = torch.logsumexp(logits, dim=-1)
        found = logits[place, torch.tensor(self.token, device=device)] - normaliser[place]
        totals = torch.zeros(len(self.pairs), dtype=found.dtype, device=device).index_add(0, pair, found)
        if mean:
            totals = totals / torch.bincount(pair, minlength=len(self.pairs)).to(totals.dtype)
        result = torch.full((items, width), -torch.inf, dtype=totals.dtype, device=device)
        where = torch.tensor(self.pairs, device=device)
        return result.index_put((where[:, 0], where[:, 1]), totals)


def label_scores(backbone: Backbone, rendered: Sequence[Rendered], reduction: Reduction, injection: Injection | None) -> Tensor:
    """float [B, C] log-probabilities of the items' answers; see `Backbone.label_scores`."""
    answers = answer_ids(backbone, rendered)
    if reduction == "first":
        answers = [[ids[:1] for ids in options] for options in answers]
    return _scores(backbone, rendered, answers, injection, mean=reduction == "mean")


def answer_ids(backbone: Backbone, rendered: Sequence[Rendered]) -> Answers:
    """Ids of every item's answers; InputError for an item without answers or an answer without a token."""
    options: list[tuple[str, ...]] = []
    for item in rendered:
        if not item.answers:
            raise InputError("an item without answers cannot be scored", key="answers")
        options.append(item.answers)
    backbone.encoding.learn_answers(rendered, options)
    return [[backbone.encoding.answer(item, answer) for answer in answers] for item, answers in zip(rendered, options)]


def answer_loss(backbone: Backbone, rendered: Sequence[Rendered], targets: Sequence[str], injection: Injection | None) -> Tensor:
    """float [B] negative log-likelihood of the targets and of the end after them; see `Backbone.answer_loss`."""
    backbone.encoding.learn_answers(rendered, [[target] for target in targets])
    end = backbone.tokenizer.eos_token_id
    closing = (int(end),) if end is not None and backbone.family != "masked_lm" else ()
    answers = [[(*backbone.encoding.answer(item, target), *closing)] for item, target in zip(rendered, targets)]
    return -_scores(backbone, rendered, answers, injection, mean=False)[:, 0]


def _scores(backbone: Backbone, rendered: Sequence[Rendered], answers: Answers, injection: Injection | None, *, mean: bool) -> Tensor:
    reader = _READERS.get(backbone.family)
    if reader is None:
        raise UnsupportedError(f"{backbone.name} has no language-model head to score answers with (it is of family {backbone.family})")
    reading = Reading()
    states = reader(backbone, rendered, answers, injection, reading)
    logits = forward.project(backbone, states)
    return reading.scores(logits, max(map(len, answers)), len(answers), mean=mean)


def _at(states: forward.States, reading: Reading) -> Tensor:
    """[places, width] hidden states at the places that are read."""
    rows, places = zip(*reading.places)
    device = states.last.device
    where = torch.tensor([states.place(place) for place in places], device=device)
    return states.last[torch.tensor(rows, device=device), where]


def _masked(backbone: Backbone, rendered: Sequence[Rendered], answers: Answers, injection: Injection | None, reading: Reading) -> Tensor:
    limit = backbone.limit(injection)
    rows: list[list[int]] = []
    owner: list[int] = []
    for number, (item, options) in enumerate(zip(rendered, answers)):
        cut = 0
        for size in sorted({len(ids) for ids in options}):
            encoded, start = backbone.encoding.masked(item, size, limit)
            cut = max(cut, encoded.cut)
            for answer, ids in enumerate(options):
                if len(ids) == size:
                    reading.add(number, answer, len(rows), range(start, start + size), ids)
            rows.append(encoded.ids)
            owner.append(number)
        backbone.count_cut(cut)
    return _at(forward.run(backbone, rows, injection=injection and injection.take(owner)), reading)


def _causal(backbone: Backbone, rendered: Sequence[Rendered], answers: Answers, injection: Injection | None, reading: Reading) -> Tensor:
    limit = backbone.limit(injection)
    rows: list[BranchedRow] = []
    owner: list[int] = []
    for number, (item, options) in enumerate(zip(rendered, answers)):
        context = backbone.encoding.text(item.before, limit - max(map(len, options)) + 1, keep="end")
        backbone.count_cut(context.cut)
        whole = BranchedRow.of(context.ids, options)
        fits = len(whole.ids) + backbone.max_length - limit <= backbone.reach and not backbone.contiguous
        together = whole.straight or fits
        for group in [range(len(options))] if together else [range(a, a + 1) for a in range(len(options))]:
            row = BranchedRow.of(context.ids, [options[answer] for answer in group])
            for place, answer in enumerate(group):
                reading.add(number, answer, len(rows), row.places(place, len(options[answer])), options[answer])
            rows.append(row)
            owner.append(number)
    ids = [row.ids for row in rows]
    return _at(forward.run(backbone, ids, branched=rows, injection=injection and injection.take(owner)), reading)


def _encoder_decoder(
    backbone: Backbone, rendered: Sequence[Rendered], answers: Answers, injection: Injection | None, reading: Reading
) -> Tensor:
    limit = backbone.limit(injection)
    backbone.encoding.learn(item.before for item in rendered)
    contexts = [backbone.encoding.text(item.before, limit, keep="end") for item in rendered]
    for context in contexts:
        backbone.count_cut(context.cut)
    encoded = forward.run(backbone, [context.ids for context in contexts], injection=injection)
    rows: list[list[int]] = []
    owner: list[int] = []
    for number, options in enumerate(answers):
        behind, row_of = bodies(options)
        for answer, (ids, row) in enumerate(zip(options, row_of)):
            reading.add(number, answer, len(rows) + row, range(len(ids)), ids)
        rows += [[backbone.decoder_start, *body] for body in behind]
        owner += [number] * len(behind)
    states = forward.decode(backbone, rows, owner, encoded)
    where = list(reading.places)
    return states[[row for row, _ in where], [place for _, place in where]]


_Reader = Callable[["Backbone", Sequence[Rendered], Answers, "Injection | None", Reading], Tensor]
_READERS: dict[str, _Reader] = {"masked_lm": _masked, "causal_lm": _causal, "encoder_decoder": _encoder_decoder}
