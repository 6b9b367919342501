"""In-context scoring of many items behind one shared text (causal models), several times faster than scoring whole prompts.

What is shared is tokenised once and run once. An item costs its own tokens only: they attend to the shared keys and values, which are
stored once for all items, and to each other; the two attentions are joined by their softmax normalisers. An item's answers branch off
its text within one row, and only the places that are read are projected onto the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.backbones import forward, labels
from harness.backbones.backbone import Backbone
from harness.backbones.branches import BranchedRow, branch_mask
from harness.backbones.labels import Reading, Reduction
from harness.backbones.last_layer import states_at
from harness.backbones.shared_attention import SharedAttention
from harness.templates import Rendered

ROW_TOKENS = 512  # as many as keep the working set in a core's cache
PLAIN_ROWS = 8  # items of a batch where nothing can be shared


def shared_prefix_scores(
    backbone: Backbone, prefix: str, rendered: Sequence[Rendered], *, reduction: Reduction = "joint", rows_tokens: int = ROW_TOKENS
) -> Tensor:
    """float [N, C] log-probabilities of the items' answers behind `prefix`, in the items' order and without gradient.

    Equals `label_scores` of prefix + text; token ids are those of encoding the whole text. Models that are not causal or mix neighbours, items too long
    for the model beside the prefix, and models whose attention window is shorter than that are scored the plain way.
    rows_tokens : about how many tokens are run at once.
    """
    if not rendered:
        return torch.zeros((0, 0))
    with torch.no_grad():
        if backbone.family != "causal_lm" or not prefix or backbone.contiguous:
            return plain_scores(backbone, prefix, rendered, reduction)
        items = tokenised(backbone, prefix, rendered, reduction)
        fits = [
            len(items.shared) + len(own) + max(map(len, answers)) - 1 <= backbone.reach for own, answers in zip(items.own, items.answers)
        ]
        if not items.shared or not any(fits):
            return plain_scores(backbone, prefix, rendered, reduction)
        scores = torch.full((len(rendered), max(map(len, items.answers))), -torch.inf, device=backbone.device)
        _score_shared(backbone, items, [i for i, fit in enumerate(fits) if fit], scores, reduction, rows_tokens)
        rest = [i for i, fit in enumerate(fits) if not fit]
        if rest:
            found = plain_scores(backbone, prefix, [rendered[i] for i in rest], reduction)
            scores[torch.tensor(rest, device=scores.device), : found.shape[1]] = found.to(scores.dtype)
        return scores


def plain_scores(backbone: Backbone, prefix: str, rendered: Sequence[Rendered], reduction: Reduction) -> Tensor:
    """The same by `label_scores` of whole prompts, batches sorted by length."""
    whole = [replace(item, before=prefix + item.before) for item in rendered]
    lengths = [len(item.before) for item in whole]
    found: dict[int, Tensor] = {}
    for batch in backbone.batches(lengths, tokens=1 << 30, rows=PLAIN_ROWS):
        scores = backbone.label_scores([whole[i] for i in batch], reduction=reduction)
        found.update(zip(batch, scores))
    width = max(len(row) for row in found.values())
    return torch.stack([nn.functional.pad(found[i], (0, width - len(found[i])), value=-torch.inf) for i in range(len(whole))])


@dataclass
class Items:
    """ids shared by all items; each item's own ids behind them; ids of each item's answers."""

    shared: list[int]
    own: list[list[int]]
    answers: labels.Answers


def tokenised(backbone: Backbone, prefix: str, rendered: Sequence[Rendered], reduction: Reduction) -> Items:
    """Ids of every whole prompt, cut into what all share and what is each one's own.

    The prefix is cut at its last word: what stands before is tokenised once, the rest of it together with every item. Whether the cut
    is clean is checked on the first and the last item; where it is not, whole prompts are tokenised.
    """
    head, tail = _cut(backbone, prefix, (rendered[0], rendered[-1]))
    moved = [replace(item, before=tail + item.before) for item in rendered]
    answers = labels.answer_ids(backbone, moved)
    if reduction == "first":
        answers = [[ids[:1] for ids in options] for options in answers]
    own = [list(backbone.encoding.pieces(item.before)) for item in moved]
    common = _common(own)
    front = backbone.encoding.wrapped(head + own[0][:common], 1 << 30, keep="end").ids
    return Items(front, [ids[common:] for ids in own], answers)


def _common(rows: list[list[int]]) -> int:
    """How many ids all rows begin with; the last one of a row is read, so it is never counted."""
    first, last = min(rows), max(rows)
    same = next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))
    return max(0, min(same, min(map(len, rows)) - 1))


def _cut(backbone: Backbone, prefix: str, samples: Sequence[Rendered]) -> tuple[list[int], str]:
    """Ids of the prefix's head and the text of its tail, such that head + encode(tail + text) = encode(prefix + text)."""
    encoding = backbone.encoding
    place = _last_word(prefix)
    for head, tail in ((prefix[:place], prefix[place:]), (prefix[:place], prefix[place + 1 :])) if place else ():
        ids = list(encoding.pieces(head))
        if all(ids + list(encoding.pieces(tail + item.before)) == list(encoding.pieces(prefix + item.before)) for item in samples):
            return ids, tail
    return [], prefix


def _last_word(text: str) -> int:
    """Where the last space between a non-space and a letter is; 0 if there is none."""
    for place in range(len(text) - 2, 0, -1):
        if text[place] == " " and not text[place - 1].isspace() and text[place + 1].isalpha():
            return place
    return 0


def _score_shared(backbone: Backbone, items: Items, wanted: list[int], scores: Tensor, reduction: Reduction, rows_tokens: int) -> None:
    """Fill `scores` [N, C] at the wanted items."""
    past = forward.run(backbone, [items.shared], keep_past=True).past
    assert past is not None
    rows = [BranchedRow.of(items.own[i], items.answers[i]) for i in wanted]
    for batch in backbone.batches([len(row.ids) for row in rows], tokens=rows_tokens, rows=rows_tokens):
        reading = Reading()
        for number, index in enumerate(batch):
            for answer, ids in enumerate(items.answers[wanted[index]]):
                reading.add(number, answer, number, rows[index].places(answer, len(ids)), ids)
        states = _run_rows(backbone, [rows[index] for index in batch], past, len(items.shared), list(reading.places))
        found = reading.scores(forward.project(backbone, states), scores.shape[1], len(batch), mean=reduction == "mean")
        scores[torch.tensor([wanted[index] for index in batch], device=scores.device)] = found.to(scores.dtype)


def _run_rows(backbone: Backbone, rows: Sequence[BranchedRow], past: Any, before: int, places: Sequence[tuple[int, int]]) -> Tensor:
    """[places, width] last states of the rows behind the shared text at these (row, place)."""
    ids, _, lengths = forward.padded(backbone, [row.ids for row in rows])
    width = ids.shape[1]
    first = before + backbone.first_position
    positions = [row.positions(first, width) for row in rows]
    mask = None if all(row.straight for row in rows) else forward.to_device(backbone, branch_mask(rows, width))
    backbone.meter.forward("behind a shared text", ids.shape[0], width, sum(lengths))
    inputs = {
        "input_ids": ids,
        "position_ids": forward.to_device(backbone, torch.tensor(positions)),
        "attention_mask": ids.new_zeros((1, 1, 1, 1)),  # a mask that is given in four dimensions stops the library from making one
        "use_cache": False,
    }
    return states_at(backbone, inputs, SharedAttention(past, mask), places)
