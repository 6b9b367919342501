"""Tiny random backbones of every text family in hub format, and small tasks of every kind, for the matrix that runs every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.backbones.backbone import Backbone
from harness.backbones.load import load
from harness.registry import Entry
from harness.task import GeneratedTask, Row
from harness.tasks.world import tokenizer as world_tokenizer
from harness.templates import Template

FAMILIES = ("masked_lm", "causal_lm", "encoder_decoder")


def _model(family: str) -> Any:
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    size = world_tokenizer.SIZE
    torch.manual_seed(0)
    if family == "masked_lm":
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 256}
        return BertForMaskedLM(BertConfig(vocab_size=size, initializer_range=0.2, **shape))
    if family == "causal_lm":
        return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=512, initializer_range=0.2))
    shape = {"d_model": 16, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_ff": 24, "d_kv": 8}
    return T5ForConditionalGeneration(T5Config(vocab_size=size, decoder_start_token_id=0, eos_token_id=3, pad_token_id=0, **shape))


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """family -> a folder in hub format."""
    from transformers import PreTrainedTokenizerFast

    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            kind = {"masked_lm": "masked", "causal_lm": "causal", "encoder_decoder": "encoder-decoder"}[family]
            special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=world_tokenizer.build(kind), **special)
            folder = tmp_path_factory.mktemp("hub") / f"random-{family}"
            _model(family).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[family] = folder
        return made[family]

    return make


@pytest.fixture(scope="session")
def backbone_of(backbone_folder: Callable[[str], Path]) -> Callable[[str], Backbone]:
    return lambda family: load({"folder": str(backbone_folder(family))})


class SmallTask(GeneratedTask):
    """Classification, choice or generation over a few dozen short texts."""

    pool_size, test_size = 60, 12
    words = ("cat", "dog", "red", "blue", "house", "tree", "water", "bread", "good", "bad", "small", "big")

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        while True:
            chosen = [str(word) for word in rng.choice(self.words, size=int(rng.integers(2, 7)))]
            number = int(rng.integers(10**9))
            yield self.row(f"{split}-{number}", " ".join(chosen), number)

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text}, number % 2)


class SmallChoice(SmallTask):
    kind = "choice"
    templates = {"plain": Template("{{ text }} . {{ answer }}")}

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text, "choices": ["yes", "no", "big house"][: 2 + number % 2]}, number % 2)


class SmallGeneration(SmallTask):
    kind = "generation"
    metrics = ("exact_match",)
    templates = {"plain": Template("{{ text }} : {{ answer }}")}
    max_new_tokens = 4

    def row(self, name: str, text: str, number: int) -> Row:
        return Row(name, {"text": text}, text.split()[0])


class SmallClasses(SmallTask):
    labels = ("no", "yes")
    templates = {"plain": Template("{{ text }} . it was {{ answer }} .", answers={"no": "bad", "yes": "good"})}


for _kind, _class in (("classification", SmallClasses), ("choice", SmallChoice), ("generation", SmallGeneration)):
    _class.entry = Entry("task", f"small-{_kind}")


@pytest.fixture(scope="session")
def small_tasks() -> dict[str, SmallTask]:
    return {"classification": SmallClasses(), "choice": SmallChoice(), "generation": SmallGeneration()}
