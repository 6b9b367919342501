"""Scores behind a shared text equal plain scores of whole prompts, for every causal model, answer length and cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.backbones.backbone import Backbone
from harness.backbones.branches import BranchedRow, branch_mask
from harness.backbones.load import load
from harness.backbones.scoring import plain_scores, shared_prefix_scores, tokenised
from harness.backbones.shared_attention import attend_with_normaliser
from harness.templates import Rendered

Get = Callable[[str], Backbone]
PREFIX = "the film was good. answer: yes\n\nthe story was bad. answer: no\n\n"
SHORT = ("yes", "no")
LONG = ("yes", "not at all", "not the red apple", "very good")
TEXTS = (
    "the day was long. answer:",
    "a red apple, a green tree and the small town by the river. answer:",
    "answer:",
    "the film was very very bad. answer:",
)


def items(*answers: tuple[str, ...]) -> list[Rendered]:
    return [Rendered(text, " ", " and more", answers[number % len(answers)]) for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize("answers", [(SHORT,), (LONG,), (SHORT, LONG), (("very very good", "very very bad", "very"),)])
@pytest.mark.parametrize("reduction", ["joint", "mean", "first"])
@pytest.mark.parametrize("rows_tokens", [1, 40, 1024])
def test_shared_scores_equal_plain_scores(causal: Backbone, answers: Any, reduction: Any, rows_tokens: int) -> None:
    rendered = items(*answers)
    ours = shared_prefix_scores(causal, PREFIX, rendered, reduction=reduction, rows_tokens=rows_tokens)
    theirs = torch.cat([padded(plain_scores(causal, PREFIX, [item], reduction), ours.shape[1]) for item in rendered])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert not ours.requires_grad


def padded(scores: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(scores, (0, width - scores.shape[1]), value=-torch.inf)


def test_bf16_scores_are_near_the_plain_ones(causal: Backbone) -> None:
    from harness.backbones.precision import precision

    exact = plain_scores(causal, PREFIX, items(LONG), "mean")
    with precision(causal, "bf16"):
        ours = shared_prefix_scores(causal, PREFIX, items(LONG), reduction="mean")
    torch.testing.assert_close(ours, exact, rtol=0.05, atol=0.7)


@pytest.mark.parametrize("prefix", [PREFIX, "one", "answer: yes\n\n", "good  \n\n", "the film was good, the", "film ", "été 12 the 3,"])
def test_tokens_are_those_of_the_whole_text(causal: Backbone, prefix: str) -> None:
    rendered = items(LONG)
    found = tokenised(causal, prefix, rendered, "joint")
    for item, own, answers in zip(rendered, found.own, found.answers):
        whole = replace(item, before=prefix + item.before)
        assert found.shared + own == causal.encoding.text(whole.before, 10_000, keep="end").ids
        assert answers == [causal.encoding.answer(whole, answer) for answer in item.answers or ()]
        assert own, "the token that is read belongs to the item"


def test_the_text_all_items_begin_with_is_shared_too(backbone_of: Get) -> None:
    backbone = backbone_of("gpt2")
    rendered = [Rendered(f"the story by the {word} was", " ", "", SHORT) for word in ("river", "tree")]
    found = tokenised(backbone, PREFIX, rendered, "joint")
    assert found.shared[-4:] == list(backbone.encoding.pieces(" the story by the"))[-4:]
    same = [rendered[0], rendered[0]]
    assert all(len(own) == 1 for own in tokenised(backbone, PREFIX, same, "joint").own)
    ours = shared_prefix_scores(backbone, PREFIX, same)
    torch.testing.assert_close(ours, plain_scores(backbone, PREFIX, same, "joint"), rtol=0, atol=1e-4)


def test_work_is_spent_on_own_tokens_only(backbone_of: Get) -> None:
    from harness.backbones.meter import Tally

    backbone = backbone_of("gpt2")
    found = tokenised(backbone, PREFIX, items(SHORT), "joint")
    meter = backbone.meter = Tally()
    shared_prefix_scores(backbone, PREFIX, items(SHORT))
    assert meter.tokens == len(found.shared) + sum(map(len, found.own))


def test_items_that_do_not_fit_are_cut_as_plain_scores_cut_them(backbone_of: Get) -> None:
    from harness.backbones.meter import Tally

    backbone = backbone_of("gpt2")
    long = Rendered("a very long day " * 25 + "answer:", " ", "", LONG)
    rendered = [*items(SHORT), long]
    meter = backbone.meter = Tally()
    ours = shared_prefix_scores(backbone, PREFIX, rendered)
    assert meter.truncated_examples == 1
    torch.testing.assert_close(ours[-1:], plain_scores(backbone, PREFIX, [long], "joint"), rtol=0, atol=1e-4)
    torch.testing.assert_close(ours[:-1, :2], plain_scores(backbone, PREFIX, rendered[:-1], "joint"), rtol=0, atol=1e-4)
    everything = "the film was good and " * 60
    torch.testing.assert_close(
        shared_prefix_scores(backbone, everything, items(SHORT)),
        plain_scores(backbone, everything, items(SHORT), "joint"),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_other_families_are_scored_the_plain_way(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    prefix = "yes. the film was good. "
    ours = shared_prefix_scores(backbone, prefix, items(SHORT, LONG))
    for row, item in zip(ours, items(SHORT, LONG)):
        alone = backbone.label_scores([replace(item, before=prefix + item.before)])[0]
        torch.testing.assert_close(row[: len(alone)], alone, rtol=0, atol=1e-4)


def test_a_short_attention_window_is_respected(folder_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the shared text nor branches go around the window: scores are those of one row an answer."""
    backbone = load({"folder": str(folder_of("mistral")), "max_length": 90}).fork()
    monkeypatch.setattr(backbone.core.config, "sliding_window", 20)
    ours = shared_prefix_scores(backbone, PREFIX, items(LONG))
    for row, item in zip(ours, items(LONG)):
        one_by_one = [replace(item, before=PREFIX + item.before, answers=(answer,)) for answer in LONG]
        with torch.no_grad():
            alone = torch.cat([backbone.label_scores([single])[0] for single in one_by_one])
        torch.testing.assert_close(row, alone, rtol=0, atol=1e-4)


def test_real_weights_agree(stories: Path) -> None:
    backbone = load({"folder": str(stories)})
    prefix = "Once upon a time there was a big dog. The dog was happy.\n\nOne day a girl saw a small cat. The cat was sad.\n\n"
    rendered = [
        Rendered(f"Lily saw a {kind}. The {kind} was", " ", ".", ("happy", "very sad", "big"))
        for kind in ("bird", "little red frog", "man")
    ]
    found = tokenised(backbone, prefix, rendered, "joint")
    assert len(found.shared) > 40, "its tokenizer writes a space before every text, yet the prefix is cut cleanly"
    torch.testing.assert_close(
        shared_prefix_scores(backbone, prefix, rendered), plain_scores(backbone, prefix, rendered, "joint"), rtol=0, atol=1e-4
    )


def test_branches_see_their_own_text_and_themselves() -> None:
    row = BranchedRow.of([7, 8], [[1, 2, 3], [4, 5], [9], [1, 6]])
    assert (row.ids, row.branches, row.starts) == ([7, 8, 1, 2, 4], [2, 1], [2, 4, 2, 2])
    assert row.positions(10, 6) == [10, 11, 12, 13, 12, 10]
    assert [row.places(a, n) for a, n in enumerate((3, 2, 1, 2))] == [[1, 2, 3], [1, 4], [1], [1, 2]]
    mask = branch_mask([row], 6)[0, 0].int().tolist()
    assert mask[:5] == [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]]


@pytest.mark.parametrize("causal_rows", [True, False])
def test_the_normaliser_is_the_log_of_the_softmaxs_sum(causal_rows: bool) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 7, 8).unbind()
    output, normaliser = attend_with_normaliser(query, key, value, 0.3, causal=causal_rows)
    scores = query @ key.transpose(-1, -2) * 0.3
    if causal_rows:
        scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf)
    torch.testing.assert_close(normaliser, scores.logsumexp(-1))
    torch.testing.assert_close(output, scores.softmax(-1) @ value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_normaliser_on_a_gpu() -> None:
    query, key, value = torch.randn(3, 2, 4, 7, 8).unbind()
    ours = attend_with_normaliser(*(x.cuda() for x in (query, key, value)), 0.3, causal=True)
    for mine, theirs in zip(ours, attend_with_normaliser(query, key, value, 0.3, causal=True)):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-4, atol=1e-4)
