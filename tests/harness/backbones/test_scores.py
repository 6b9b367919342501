"""Label scores, answer losses and features against the same thing computed one text at a time with the plain library model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from harness.backbones.backbone import Backbone
from harness.errors import InputError, UnsupportedError
from harness.templates import Rendered

from .conftest import CAUSAL, MASKED

Get = Callable[[str], Backbone]
ITEMS = [
    Rendered("the film was", " ", ".", ("good", "terrible", "not at all")),
    Rendered("it was a very long day in the small town by the river. the story was", " ", " indeed.", ("bad", "very very good")),
    Rendered("answer:", " ", "", ("yes", "no", "entailment")),
]


def logits_of(backbone: Backbone, ids: list[int], **kwargs: Any) -> torch.Tensor:
    with torch.no_grad():
        return functional.log_softmax(backbone.model(input_ids=torch.tensor([ids]), **kwargs).logits[0], dim=-1)


def ids_of(backbone: Backbone, text: str, special: bool = False) -> list[int]:
    return list(backbone.tokenizer(text, add_special_tokens=special)["input_ids"])


def reference(backbone: Backbone, item: Rendered, answer: str) -> list[float]:
    """Log-probabilities of the answer's tokens, the slow way."""
    if backbone.family == "encoder_decoder":
        pieces = ids_of(backbone, answer)
        table = logits_of(backbone, ids_of(backbone, item.before, True), decoder_input_ids=torch.tensor([[0, *pieces[:-1]]]))
        return [float(table[i, piece]) for i, piece in enumerate(pieces)]
    before, whole = ids_of(backbone, item.before), ids_of(backbone, item.before + item.gap + answer)
    pieces = whole[len(before) :]
    if backbone.family == "causal_lm":
        ids = ids_of(backbone, item.before + item.gap + answer, True)
        table = logits_of(backbone, ids)
        return [float(table[len(ids) - len(pieces) - 1 + i, piece]) for i, piece in enumerate(pieces)]
    ids = ids_of(backbone, item.filled(backbone.tokenizer.mask_token * len(pieces)), True)
    start = ids.index(backbone.tokenizer.mask_token_id)
    table = logits_of(backbone, ids)
    return [float(table[start + i, piece]) for i, piece in enumerate(pieces)]


@pytest.mark.parametrize("name", [*MASKED, *CAUSAL, "t5", "t5-gated"])
@pytest.mark.parametrize("reduction", ["joint", "mean", "first"])
def test_label_scores_equal_the_plain_model(backbone_of: Get, name: str, reduction: Any) -> None:
    backbone = backbone_of(name)
    with torch.no_grad():
        scores = backbone.label_scores(ITEMS, reduction=reduction)
    assert scores.shape == (3, 3)
    assert scores[1, 2] == -torch.inf
    for number, item in enumerate(ITEMS):
        for index, answer in enumerate(item.answers or ()):
            if reduction == "first" and name in MASKED:
                first = backbone.tokenizer.convert_ids_to_tokens(backbone.encoding.answer(item, answer)[:1])
                ids = ids_of(backbone, item.filled(backbone.tokenizer.mask_token), True)
                place = ids.index(backbone.tokenizer.mask_token_id)
                expected = float(logits_of(backbone, ids)[place, backbone.tokenizer.convert_tokens_to_ids(first)[0]])
            else:
                parts = reference(backbone, item, answer)
                expected = {"joint": sum(parts), "mean": sum(parts) / len(parts), "first": parts[0]}[reduction]
            assert float(scores[number, index]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", [*MASKED, *CAUSAL, "t5"])
def test_answer_loss_is_minus_the_log_likelihood_with_the_end(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    targets = ["good", "very very good", "no"]
    with torch.no_grad():
        losses = backbone.answer_loss(ITEMS, targets)
    for number, (item, target) in enumerate(zip(ITEMS, targets)):
        expected = sum(reference(backbone, item, target))
        end = backbone.tokenizer.eos_token_id
        if name in CAUSAL:
            expected += float(logits_of(backbone, ids_of(backbone, item.before + item.gap + target, True))[-1, end])
        elif name == "t5":
            decoder = torch.tensor([[0, *ids_of(backbone, target)]])
            expected += float(logits_of(backbone, ids_of(backbone, item.before, True), decoder_input_ids=decoder)[-1, end])
        assert float(losses[number]) == pytest.approx(-expected, abs=1e-4)


def test_a_row_serves_all_one_token_answers(backbone_of: Get) -> None:
    backbone = backbone_of("gpt2")
    item = Rendered("answer:", " ", "", ("yes", "no"))
    assert all(len(backbone.encoding.answer(item, answer)) == 1 for answer in ("yes", "no"))
    backbone.meter.forward_calls = backbone.meter.tokens = 0  # type: ignore[attr-defined]
    backbone.label_scores([item])
    assert (backbone.meter.forward_calls, backbone.meter.tokens) == (1, len(backbone.encoding.pieces("answer:")))  # type: ignore[attr-defined]


def test_answers_of_several_tokens_branch_off_one_row(backbone_of: Get) -> None:
    """The text is run once however many answers it has, also behind injected vectors."""
    from harness.backbones.injection import Injection
    from harness.backbones.meter import Tally

    for name in CAUSAL:
        backbone = backbone_of(name)
        prefix = torch.randn(backbone.layers, 2, 3, backbone.key_value_heads, backbone.head_width)
        for injection in (
            None,
            Injection(torch.randn(2, backbone.width)),
            Injection(prefix=prefix),
            Injection(torch.randn(2, backbone.width), prefix),
        ):
            meter = backbone.meter = Tally()
            with torch.no_grad():
                together = backbone.label_scores(ITEMS[:1], injection=injection)[0]
                spent = meter.tokens
                answers = ITEMS[0].answers or ()
                alone = [backbone.label_scores([replace(ITEMS[0], answers=(answer,))], injection=injection)[0, 0] for answer in answers]
            torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-4)
            assert spent < meter.tokens - spent


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_mask_token_in_the_text_is_no_mask(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    mask = backbone.tokenizer.mask_token
    encoded, start = backbone.encoding.masked(Rendered(f"the {mask} film was", " ", ".", None), 2, backbone.max_length)
    identifier = backbone.tokenizer.mask_token_id
    assert [place for place, piece in enumerate(encoded.ids) if piece == identifier] == [start, start + 1]


def test_padding_does_not_change_what_a_text_gives(any_backbone: Backbone) -> None:
    texts = ["the film was bad", "a red apple, a green tree and a very long day in the small town by the river", "yes"]
    with torch.no_grad():
        together, (layers, mask) = any_backbone.features(texts), any_backbone.hidden_states(texts)
        for number, text in enumerate(texts):
            torch.testing.assert_close(any_backbone.features([text])[0], together[number], rtol=1e-5, atol=1e-5)
            alone, _ = any_backbone.hidden_states([text])
            torch.testing.assert_close(alone[:, 0], layers[:, number, mask[number]], rtol=1e-5, atol=1e-5)
        if any_backbone.family == "encoder":
            return
        scores = any_backbone.label_scores(ITEMS)
        for number, item in enumerate(ITEMS):
            alone = any_backbone.label_scores([item])[0]
            torch.testing.assert_close(alone, scores[number, : len(alone)], rtol=1e-5, atol=2e-5)


def test_pooling(any_backbone: Backbone) -> None:
    texts = ["the film was bad", "yes or no"]
    with torch.no_grad():
        layers, mask = any_backbone.hidden_states(texts)
        last = [layers[-1, number, mask[number]] for number in range(2)]
        for pooling, expected in {"mean": [s.mean(0) for s in last], "first": [s[0] for s in last], "last": [s[-1] for s in last]}.items():
            torch.testing.assert_close(any_backbone.features(texts, pooling=pooling), torch.stack(expected))  # type: ignore[arg-type]
        default = "last" if any_backbone.family == "causal_lm" else "mean"
        torch.testing.assert_close(any_backbone.features(texts), any_backbone.features(texts, pooling=default))  # type: ignore[arg-type]


def test_pairs_are_encoded_as_the_tokenizer_does(any_backbone: Backbone) -> None:
    if any_backbone.family == "causal_lm":
        pytest.skip("causal models read a pair as two lines")
    first, second = "the film was bad", "the story was good"
    expected = any_backbone.tokenizer(first, second, return_token_type_ids=True)
    encoded = any_backbone.encoding.pair(first, second, any_backbone.max_length)
    assert encoded.ids == expected["input_ids"]
    if any_backbone.segments:
        assert encoded.types == expected["token_type_ids"]
        with torch.no_grad():
            result = (
                any_backbone.trunk(**any_backbone.tokenizer(first, second, return_token_type_ids=True, return_tensors="pt"))
                .last_hidden_state[0]
                .mean(0)
            )
            torch.testing.assert_close(any_backbone.features([(first, second)])[0], result)


def test_what_is_too_long_is_cut_and_counted(any_backbone: Backbone) -> None:
    from harness.backbones.meter import Tally

    meter = any_backbone.meter = Tally()
    long = "the film was good and " * 120
    any_backbone.features([long, "yes"])
    pieces = len(any_backbone.encoding.pieces(long))
    room = any_backbone.max_length - len(any_backbone.encoding.front) - len(any_backbone.encoding.back)
    assert (meter.truncated_examples, meter.truncated_tokens) == (1, pieces - room)
    assert meter.forward_calls == 1
    if any_backbone.family == "encoder":
        return
    meter = any_backbone.meter = Tally()
    item = Rendered(long + "the day was", " ", ".", ("good", "not at all"))
    scores = any_backbone.label_scores([item])
    assert meter.truncated_examples == 1
    assert meter.truncated_tokens >= pieces - room
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("name", MASKED)
def test_cutting_keeps_the_mask_and_what_is_near_it(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    item = Rendered("start " + "the film was good and " * 120 + "the day was", " ", ". the end", ("good",))
    encoded, start = backbone.encoding.masked(item, 1, 40)
    assert len(encoded.ids) == 40
    assert encoded.ids[start] == backbone.tokenizer.mask_token_id
    tail = backbone.encoding.pieces("the end")
    assert tuple(encoded.ids[-len(backbone.encoding.back) - len(tail) :][: len(tail)])[-1] == tail[-1]


def test_pairs_lose_the_longer_text_first(backbone_of: Get) -> None:
    backbone = backbone_of("bert")
    encoded = backbone.encoding.pair("yes", "the film was good and " * 50, 20)
    assert len(encoded.ids) == 20
    assert tuple(encoded.ids[1:2]) == backbone.encoding.pieces("yes")


def test_an_empty_text_gives_features(any_backbone: Backbone) -> None:
    assert bool(any_backbone.features([""]).isfinite().all())


def test_scores_have_gradients(backbone_of: Get) -> None:
    from harness.backbones.injection import Injection

    for name in ("bert", "gpt2", "t5"):
        backbone = backbone_of(name)
        prompt = torch.randn(3, backbone.width, requires_grad=True)
        backbone.label_scores(ITEMS[:2], injection=Injection(prompt=prompt))[:, :2].sum().backward()  # type: ignore[no-untyped-call]
        assert prompt.grad is not None and bool(prompt.grad.abs().sum() > 0)


def test_answers_that_cannot_be_scored(backbone_of: Get) -> None:
    with pytest.raises(InputError, match="without answers"):
        backbone_of("gpt2").label_scores([Rendered("a", " ", "", None)])
    with pytest.raises(InputError, match="no token"):
        backbone_of("gpt2").label_scores([Rendered("a", "", "", ("",))])
    with pytest.raises(UnsupportedError, match="no language-model head"):
        backbone_of("bert-encoder").label_scores(ITEMS)


def test_bf16_is_near_fp32_and_scores_stay_fp32(backbone_of: Get) -> None:
    from harness.backbones.precision import precision

    for name in ("bert", "llama", "t5"):
        backbone = backbone_of(name)
        with torch.no_grad():
            exact = backbone.label_scores(ITEMS[:1])
            with precision(backbone, "bf16"):
                rough = backbone.label_scores(ITEMS[:1])
        assert rough.dtype == torch.float32
        assert not torch.equal(exact, rough)
        torch.testing.assert_close(exact, rough, rtol=0.1, atol=0.7)
