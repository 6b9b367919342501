"""What tests of the engine share: tiny random backbones in hub format, entries that only tests know, and suites over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ENTRIES = Path(__file__).parent / "entries"


def _model(family: str) -> Any:
    import torch
    from harness.tasks.world import tokenizer as world_tokenizer
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    size = world_tokenizer.SIZE
    torch.manual_seed(0)
    if family == "masked_lm":
        shape = {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 256,
        }
        return BertForMaskedLM(BertConfig(vocab_size=size, initializer_range=0.2, **shape))
    if family == "causal_lm":
        return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=512, initializer_range=0.2))
    shape = {"d_model": 16, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_ff": 24, "d_kv": 8}
    return T5ForConditionalGeneration(T5Config(vocab_size=size, decoder_start_token_id=0, eos_token_id=3, pad_token_id=0, **shape))


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """family -> a folder in hub format."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        import transformers
        from harness.tasks.world import tokenizer as world_tokenizer

        if family not in made:
            kind = {"masked_lm": "masked", "causal_lm": "causal", "encoder_decoder": "encoder-decoder"}[family]
            special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
            tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=world_tokenizer.build(kind), **special)
            folder = tmp_path_factory.mktemp("hub") / f"random-{family}"
            transformers.utils.logging.disable_progress_bar()  # it would stand on the stderr that a test reads
            _model(family).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            transformers.utils.logging.enable_progress_bar()
            made[family] = folder
        return made[family]

    return make


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tasks and methods under tests/entries can be named in suites, also by worker processes."""
    from harness import catalog

    monkeypatch.setenv("HARNESS_ENTRIES", str(ENTRIES))
    catalog.refresh()
    yield
    monkeypatch.undo()
    catalog.refresh()


@pytest.fixture
def suite_file(entries: None, tmp_path: Path, backbone_folder: Callable[[str], Path]) -> Callable[..., Path]:
    """suite_file(methods=[...], ...) -> a YAML file; by default one method, one task, one tiny random masked LM and two seeds."""

    def write(name: str = "small", **keys: Any) -> Path:
        suite = {
            "suite": name,
            "question": "Does the engine do what it says?",
            "backbones": str(backbone_folder("masked_lm")),
            "methods": ["zero-shot"],
            "tasks": ["word-parity"],
            "shots": 4,
            "seeds": 2,
            "budget": {"steps": 2},
            **keys,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in suite.items() if value is not None), encoding="utf-8")
        return path

    return write


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """run(suite file, store="store") -> the session, in this process on the CPU."""
    from harness import api

    def run_suite(suite: Path, store: str = "store", **options: Any) -> Any:
        return api.run_session(suite, store=tmp_path / store, **{"device": "cpu", "workers": 0, **options})

    return run_suite


MOOD = """
task: mood
summary: Is a line glad or sad?
source:
  files: {train: train.jsonl, test: test.jsonl}
fields: {line: text}
target: label
labels: [sad, glad]
templates:
  feels:
    text: "{{ line }} it was {{ answer }} ."
    answers: {sad: bad, glad: good}
"""


@pytest.fixture
def mood_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A task `mood` in files that a test may change; the folder of them."""
    from harness import catalog

    folder = tmp_path / "mine"
    folder.mkdir()
    words = ("cat", "dog", "red", "blue", "house", "tree", "water", "bread", "small", "big")
    lines = [{"text": f"{words[i % 10]} {words[i // 10]} {words[i % 7]}", "label": ("sad", "glad")[i % 2]} for i in range(60)]
    for name, part in (("train", lines[:40]), ("test", lines[40:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in part), encoding="utf-8")
    (folder / "mood.yaml").write_text(MOOD, encoding="utf-8")
    monkeypatch.setenv("HARNESS_ENTRIES", f"{ENTRIES}:{folder}")
    catalog.refresh()
    yield folder
    monkeypatch.undo()
    catalog.refresh()
