"""Tiny random models of every architecture in hub format, with a tokenizer made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from harness.backbones.backbone import Backbone
from harness.backbones.load import load

TEXT = [
    "the film was good and the actors were great",
    "the film was bad and the story was terrible",
    "it was a very long day in the small town by the river",
    "is the answer yes or no? the answer is no. a red apple, a green tree",
    "positive negative entailment contradiction neutral question: answer: topic: sports",
] * 4

ARCHITECTURES = ("bert", "roberta", "distilbert", "gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2", "t5", "t5-gated", "bert-encoder")
CAUSAL = ("gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2")
MASKED = ("bert", "roberta", "distilbert")


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_pairs(special: list[str], around: str | None = None, pair: str | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    if around is not None:
        ids = [(token, tokenizer.token_to_id(token)) for token in special]
        tokenizer.post_processor = processors.TemplateProcessing(single=around, pair=pair, special_tokens=ids)
    return tokenizer


def tokenizer_for(name: str) -> Any:
    Fast = transformers.PreTrainedTokenizerFast
    if name in ("bert", "distilbert", "bert-encoder"):
        return Fast(
            tokenizer_object=wordpiece(), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"
        )
    if name == "roberta":
        object = byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s> $A </s>", "<s> $A </s> </s> $B </s>")
        mask = transformers.AddedToken("<mask>", lstrip=True, special=True)
        return Fast(
            tokenizer_object=object,
            bos_token="<s>",
            cls_token="<s>",
            pad_token="<pad>",
            eos_token="</s>",
            sep_token="</s>",
            mask_token=mask,
        )
    if name in ("t5", "t5-gated"):
        return Fast(tokenizer_object=byte_pairs(["<pad>", "</s>"], "$A </s>", "$A </s> $B </s>"), pad_token="<pad>", eos_token="</s>")
    if name in ("llama", "mistral", "opt"):
        object = byte_pairs(["<s>", "</s>", "<pad>"], "<s> $A", "<s> $A $B")
        return Fast(tokenizer_object=object, bos_token="<s>", eos_token="</s>", pad_token="<pad>" if name == "opt" else None)
    return Fast(tokenizer_object=byte_pairs(["<|endoftext|>"]), bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def model_for(name: str, size: int) -> Any:
    """A random model; weights of some size, so that differences would show."""
    common = {"vocab_size": size, "initializer_range": 0.2}
    plain = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 96}
    grouped = {"num_key_value_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    T = transformers
    if name in ("bert", "bert-encoder"):
        config = T.BertConfig(**common, **plain, pad_token_id=0)
        return T.BertModel(config, add_pooling_layer=False) if name == "bert-encoder" else T.BertForMaskedLM(config)
    if name == "roberta":
        return T.RobertaForMaskedLM(
            T.RobertaConfig(**common, **{**plain, "max_position_embeddings": 98}, pad_token_id=1, type_vocab_size=1)
        )
    if name == "distilbert":
        return T.DistilBertForMaskedLM(
            T.DistilBertConfig(**common, dim=32, n_layers=3, n_heads=4, hidden_dim=48, max_position_embeddings=96)
        )
    if name == "gpt2":
        return T.GPT2LMHeadModel(T.GPT2Config(**common, n_embd=32, n_layer=3, n_head=4, n_positions=96, bos_token_id=0, eos_token_id=0))
    if name == "gpt_neox":
        return T.GPTNeoXForCausalLM(T.GPTNeoXConfig(**common, **plain, bos_token_id=0, eos_token_id=0))
    if name == "opt":
        config = T.OPTConfig(vocab_size=size, init_std=0.2, hidden_size=32, word_embed_proj_dim=32, num_hidden_layers=3, num_attention_heads=4,
            ffn_dim=48, max_position_embeddings=96, bos_token_id=0, eos_token_id=1, pad_token_id=2)  # fmt: skip
        return T.OPTForCausalLM(config)
    if name == "llama":
        return T.LlamaForCausalLM(T.LlamaConfig(**common, **plain, **grouped, **ends, tie_word_embeddings=True))
    if name == "mistral":
        return T.MistralForCausalLM(T.MistralConfig(**common, **plain, **grouped, **ends, sliding_window=None))
    if name == "qwen2":
        return T.Qwen2ForCausalLM(T.Qwen2Config(**common, **plain, **grouped, **{**ends, "eos_token_id": 0}))
    config = T.T5Config(
        vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        feed_forward_proj="gated-gelu" if name == "t5-gated" else "relu", tie_word_embeddings=name == "t5", initializer_factor=0.5,
    )  # fmt: skip
    return T.T5ForConditionalGeneration(config)


def save(name: str, folder: Path) -> Path:
    torch.manual_seed(7)
    tokenizer = tokenizer_for(name)
    model_for(name, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of an architecture -> folder of a tiny model in hub format."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = save(name, tmp_path_factory.mktemp(name))
        return made[name]

    return make


@pytest.fixture(scope="session")
def backbone_of(folder_of: Callable[[str], Path]) -> Callable[[str], Backbone]:
    """Name of an architecture -> its loaded tiny backbone."""

    def get(name: str) -> Backbone:
        return load({"folder": str(folder_of(name))})

    return get


@pytest.fixture(params=ARCHITECTURES)
def any_backbone(request: pytest.FixtureRequest, backbone_of: Callable[[str], Backbone]) -> Backbone:
    return backbone_of(request.param)


@pytest.fixture(params=CAUSAL)
def causal(request: pytest.FixtureRequest, backbone_of: Callable[[str], Backbone]) -> Backbone:
    return backbone_of(request.param)


@pytest.fixture
def stories() -> Path:
    """Folder of the stories260K model: a real Llama of 260,032 parameters."""
    data = Path(os.environ.get("HARNESS_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    folder = data.parent / "weights" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"the stories260K weights are not at {folder} (set HARNESS_TEST_DATA to the data folder beside them)")
    return folder
