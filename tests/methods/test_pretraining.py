"""The pretraining loop and the three recipes: a few steps each."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import pytest
import torch
from harness.methods import tiny_causal_lm, tiny_encoder_decoder, tiny_masked_lm
from harness.methods.pretraining import Schedule, fast_tokenizer, save, train
from harness.tasks.world import prompted
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

RECIPES = {"causal": tiny_causal_lm, "masked": tiny_masked_lm, "encoder-decoder": tiny_encoder_decoder}
AUTO = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM, "encoder-decoder": AutoModelForSeq2SeqLM}


@cache
def drawn() -> prompted.Prompted:
    return prompted.Prompted([task for task in prompted.world_tasks() if task.name in ("world-sentiment", "world-stars")])


def losses(kind: str, model: torch.nn.Module):
    if kind == "causal":
        return partial(tiny_causal_lm.loss_of, model, drawn(), 0)
    if kind == "masked":
        return partial(tiny_masked_lm.loss_of, model, drawn(), 0)
    return partial(tiny_encoder_decoder.loss_of, model, drawn(), 0)


def trained(kind: str, out: Path, steps: int, stops: tuple[int, ...] = ()) -> dict[str, torch.Tensor]:
    for stop in (*stops, None):
        torch.manual_seed(0)
        model = RECIPES[kind].build()
        train(model, losses(kind, model), Schedule(steps, warmup=2), out, log=lambda line: None, stop_at=stop)
    return model.state_dict()


@pytest.mark.parametrize("kind", RECIPES)
def test_an_interrupted_run_equals_an_uninterrupted_one(kind: str, tmp_path: Path):
    whole, parts = trained(kind, tmp_path / "whole", 3), trained(kind, tmp_path / "parts", 3, stops=(2,))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
def test_fewer_steps_after_resuming_equal_fewer_from_the_start(tmp_path: Path):
    """The rate is constant until it decays, so the number of steps may be cut before that."""
    short = trained("masked", tmp_path / "short", 8)
    torch.manual_seed(0)
    model = RECIPES["masked"].build()
    train(model, losses("masked", model), Schedule(40, warmup=2), tmp_path / "cut", log=lambda line: None, stop_at=4)
    cut = trained("masked", tmp_path / "cut", 8)
    assert all(torch.equal(short[name], cut[name]) for name in short)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_loss_falls(kind: str, tmp_path: Path):
    torch.manual_seed(0)
    model = RECIPES[kind].build()
    loss = losses(kind, model)
    before = loss(1000).item() if kind != "causal" else loss(0).item()
    train(model, loss, Schedule(15, warmup=2), tmp_path, log=lambda line: None)
    after = loss(1000).item() if kind != "causal" else loss(0).item()
    assert after < before - 0.5


@pytest.mark.parametrize("kind", RECIPES)
def test_a_saved_model_loads_by_the_auto_classes(kind: str, tmp_path: Path):
    model = RECIPES[kind].build()
    save(model, kind, tmp_path)
    loaded, tokenizer = AUTO[kind].from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert next(loaded.parameters()).dtype == torch.float32
    assert sum(parameter.numel() for parameter in loaded.parameters()) < 2_000_000
    assert (tmp_path / "model.safetensors").stat().st_size < 4_000_000
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].half().float())
    sample = "the soup was superb. it was good."
    assert tokenizer(sample)["input_ids"] == fast_tokenizer(kind)(sample)["input_ids"]
    assert tokenizer.decode(tokenizer(sample)["input_ids"], skip_special_tokens=True) == sample
    assert tokenizer.model_max_length >= 512 and tokenizer.pad_token_id == 0
