"""Generated text equals the library's greedy text, whatever the batch; stops, ends and lengths are told apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from harness.backbones.backbone import Backbone
from harness.errors import UnsupportedError

from .conftest import CAUSAL

Get = Callable[[str], Backbone]
TEXTS = ["the film was", "a red apple, a green tree and a very long day in the small town by", "yes"]
GENERATING = [*CAUSAL, "t5", "t5-gated"]


@pytest.mark.parametrize("name", GENERATING)
def test_greedy_text_equals_the_library(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    ours = backbone.generate(TEXTS, max_new_tokens=14)
    pad = backbone.encoding.padding
    for text, generated in zip(TEXTS, ours):
        given = backbone.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        whole = backbone.model.generate(**given, do_sample=False, max_new_tokens=14, pad_token_id=pad)[0].tolist()  # type: ignore[operator]
        new = whole[1:] if backbone.family == "encoder_decoder" else whole[given["input_ids"].shape[1] :]
        assert generated.text == backbone.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert generated.tokens == len(new)
        assert generated.stop == ("end" if new[-1] in backbone.end_tokens else "length")


@pytest.mark.parametrize("name", GENERATING)
def test_the_batch_does_not_change_the_text(backbone_of: Get, name: str) -> None:
    backbone = backbone_of(name)
    together = backbone.generate(TEXTS, max_new_tokens=10)
    assert together == [backbone.generate([text], max_new_tokens=10)[0] for text in TEXTS]


def test_stops_end_a_text_and_are_cut_off(backbone_of: Get) -> None:
    backbone = backbone_of("gpt2")
    (free,) = backbone.generate([TEXTS[0]], max_new_tokens=12)
    assert len(free.text) > 6
    stop = free.text[5:7]
    (stopped,) = backbone.generate([TEXTS[0]], max_new_tokens=12, stops=["never\n", stop])
    assert stopped.stop == "stop"
    assert stopped.text == free.text[: free.text.find(stop)]
    assert stopped.tokens < free.tokens


def test_sampling_repeats_with_its_stream_whatever_the_batch_after_it(backbone_of: Get) -> None:
    backbone = backbone_of("gpt2")

    def sampled(seed: int, texts: list[str]) -> list[str]:
        made = backbone.generate(texts, max_new_tokens=8, temperature=1.0, rng=np.random.default_rng(seed))
        return [item.text for item in made]

    assert sampled(1, TEXTS) == sampled(1, TEXTS)
    assert sampled(1, TEXTS) != sampled(2, TEXTS)
    assert sampled(1, TEXTS)[:1] == sampled(1, TEXTS[:1])
    with pytest.raises(ValueError, match="rng"):
        backbone.generate(TEXTS, max_new_tokens=2, temperature=1.0)


def test_sampling_follows_the_distribution(backbone_of: Get) -> None:
    """First tokens drawn 600 times against the model's probabilities: total variation within what chance allows."""
    from harness.backbones import forward
    from harness.backbones.generation import _choose

    backbone = backbone_of("llama")
    with torch.no_grad():
        states = forward.run(backbone, [backbone.encoding.text("the film", 90, keep="end").ids])
        logits = forward.project(backbone, states.last[:, -1]).double()
    draws = [np.random.default_rng(seed) for seed in range(600)]
    chosen = _choose(logits.expand(600, -1), 2.0, draws)
    expected = torch.softmax(logits[0] / 2.0, dim=-1)
    found = torch.bincount(chosen, minlength=len(expected)) / 600
    bound = float((expected * (1 - expected) / 600).sqrt().sum())  # twice the expected deviation, about
    assert 0.5 * float((found - expected).abs().sum()) < bound


def test_a_long_text_leaves_room_for_what_is_written(backbone_of: Get) -> None:
    from harness.backbones.meter import Tally

    backbone = backbone_of("gpt2")
    meter = backbone.meter = Tally()
    (made,) = backbone.generate(["the film was good and " * 80], max_new_tokens=20)
    assert meter.truncated_examples == 1
    assert made.tokens <= 20


def test_families_without_generation(backbone_of: Get) -> None:
    with pytest.raises(UnsupportedError, match="cannot generate"):
        backbone_of("bert").generate(["a"], max_new_tokens=2)
    assert backbone_of("gpt2").generate([], max_new_tokens=2) == []
