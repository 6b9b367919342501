"""The suites over hub models and hub data: planned offline in full, then run small over folders in hub format. Never against the hub itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import api, catalog
from harness.errors import InputError
from harness.protocol_files import get
from harness.suite import load_suite

SUITES = ("glue-fewshot", "superglue-prompt-tuning", "icl-hub")
HUB_IDS = {"FacebookAI/roberta-base": "masked_lm", "google/t5-base-lm-adapt": "encoder_decoder", "openai-community/gpt2": "causal_lm"}
WORDS = [
    "a",
    "film",
    "plays",
    "on",
    "while",
    "small",
    "rivers",
    "rise",
    "over",
    "green",
    "towns",
    "and",
    "every",
    "old",
    "clock",
    "tells",
    "some",
    "other",
    "story",
    "today",
]


def sentence(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in range(1, 7)) + f" {number}"


def columns(number: int, labels: int) -> dict[str, Any]:
    """Every column that one of the suites' data sets has."""
    one, other = sentence(number), sentence(number + 7)
    return {
        **dict.fromkeys(("sentence", "sentence1", "premise", "text", "passage"), one),
        **dict.fromkeys(("sentence2", "hypothesis"), other),
        **{"question": f"is {one}", "word": "film", "choice1": f"it rose {number}", "choice2": f"it fell {number}"},
        **{"label": number % labels, "coarse_label": number % labels, "answer": bool(number % 2), "idx": number},
    }


def made_data(root: Path, names: list[str]) -> None:
    """Folders in hub format under `root`, one a hub id with its configurations; splits share no row."""
    import pyarrow as pa
    import pyarrow.parquet

    heads: dict[Path, list[str]] = {}
    for name in names:
        task = catalog.load("task", name)
        spec, place = task.spec, root / str(task.spec.source.hub)
        config = spec.source.config or "default"
        lines = heads.setdefault(place, ["---", "configs:"])
        lines += [f"- config_name: {config}", "  data_files:"]
        for index, split in enumerate(dict.fromkeys([*spec.splits.pool, *spec.splits.test])):
            file = place / config / f"{split}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = [columns(1000 * index + number, max(2, len(task.labels))) for number in range(240)]
            if name == "superglue-copa":
                rows = [{**row, "question": ("cause", "effect")[number % 2]} for number, row in enumerate(rows)]
            pyarrow.parquet.write_table(pa.Table.from_pylist(rows), file)
            lines.append(f"  - {{split: {split}, path: {config}/{split}.parquet}}")
    for place, lines in heads.items():
        (place / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


@pytest.fixture
def hub_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HARNESS_HUB_DATA", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made_data(tmp_path / "hub", sorted({task.name for suite in SUITES for task in load_suite(suite).tasks}))
    return tmp_path / "hub"


def made_model(family: str, folder: Path) -> Path:
    """A tiny random model in hub format whose byte-level tokenizer takes any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        GPT2Config,
        GPT2LMHeadModel,
        PreTrainedTokenizerFast,
        T5Config,
        T5ForConditionalGeneration,
    )

    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special.values()), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([sentence(number) for number in range(50)], trainer)
    around = {"masked_lm": "<s> $A </s>", "encoder_decoder": "$A </s>"}.get(family)
    if around is not None:
        pair = "<s> $A </s> </s> $B </s>" if family == "masked_lm" else "$A $B </s>"
        core.post_processor = processors.TemplateProcessing(single=around, pair=pair, special_tokens=[("<s>", 1), ("</s>", 2)])
    torch.manual_seed(0)
    model: Any
    if family == "masked_lm":
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
        model = BertForMaskedLM(BertConfig(vocab_size=400, max_position_embeddings=512, type_vocab_size=1, pad_token_id=0, **shape))
    elif family == "causal_lm":
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=2, n_positions=2048, bos_token_id=1, eos_token_id=2)
        )
    else:
        shape = {"d_model": 16, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_ff": 24, "d_kv": 8}
        model = T5ForConditionalGeneration(T5Config(vocab_size=400, decoder_start_token_id=0, eos_token_id=2, pad_token_id=0, **shape))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=core, **special).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", SUITES)
def test_every_task_and_method_it_names_exists(name: str) -> None:
    suite = load_suite(name)
    assert suite.question.rstrip().endswith("?")
    for task in suite.tasks:
        assert catalog.find("task", task.name)
    for method in suite.methods:
        declared = catalog.find("method", method.name).settings
        assert set(method.config) <= set(declared), method
        assert method.tune is None or any(item.setting.search is not None for item in declared.values()), method
    assert suite.baseline in [label for method in suite.methods for label, _ in method.variants()]
    if suite.protocol:
        given = {field: suite.model_dump()[field] for field in get(suite.protocol)}
        assert given["shots"] == get(suite.protocol)["shots"] and given["seeds"]["numbers"] == get(suite.protocol)["seeds"]["numbers"]


@pytest.mark.parametrize("name", SUITES)
def test_it_is_planned_offline_and_nothing_is_left_out(name: str, hub_data: Path) -> None:
    suite = load_suite(name)
    plan = api.plan(suite, device="cpu", fetch=False)
    prompted = {method.name for method in suite.methods if catalog.load("method", method.name).uses_template}
    expected: Counter[tuple[str, str]] = Counter()
    for task in suite.tasks:
        templates = len(catalog.load("task", task.name).templates) if suite.templates == "all" else 1
        for method in suite.methods:
            assert templates == 1 or method.name in prompted
            expected[task.name, method.label or method.name] = templates * len(suite.seeds.numbers)
    assert Counter((cell.trial.task, cell.arm) for cell in plan.cells) == expected
    assert {(cell.trial.task, cell.arm): cell.unsupported for cell in plan.cells if cell.unsupported} == {}
    tuned = {method.label or method.name: method.tune or 0 for method in suite.methods}
    assert all(len(cell.tries) == tuned[cell.arm] for cell in plan.cells)


@pytest.mark.parametrize("name", SUITES)
def test_without_data_and_network_one_line_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*given: Any, **options: Any) -> Any:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    monkeypatch.setenv("HARNESS_HUB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be had from the Hugging Face hub.*HARNESS_HUB_DATA"):
        api.plan(name, device="cpu", fetch=False)


@pytest.mark.parametrize("part", ["every method", "every task"])
@pytest.mark.parametrize("name", SUITES)
def test_it_runs_small_over_local_folders_in_hub_format(name: str, part: str, hub_data: Path, tmp_path: Path) -> None:
    """Its methods, tasks, templates and settings, with a tiny random model, few rows and two steps; frozen fields are let go for that."""
    suite = load_suite(name)
    hub = catalog.find("backbone", suite.backbones[0]["name"]).attributes["hub"]
    folder = made_model(HUB_IDS[hub], tmp_path / "models" / hub.rsplit("/", 1)[-1])
    spec = suite.model_dump(mode="json") | {
        "protocol": None, "backbones": [{"folder": str(folder)}], "shots": [2], "dev": 2, "seeds": {"numbers": [13]},
        "budget": {"steps": 2}, "test_rows": 4, "templates": "first",
    }  # fmt: skip
    methods = [{**method, "tune": 2 if method["tune"] else None} for method in spec["methods"]]
    trained = next((method for method in methods if method["name"] in ("lora", "prompt-tuning")), methods[0])
    small = (
        {"methods": methods, "tasks": spec["tasks"][:1]}
        if part == "every method"
        else {"methods": [{**trained, "tune": None}], "baseline": None}
    )
    session = api.run_session(type(suite).model_validate(spec | small), store=tmp_path / "store", device="cpu", workers=0)
    assert {done.status for done in session.outcomes.values()} == {"ok"}, [done.reason for done in session.outcomes.values() if done.reason]
    wanted = len(methods) if part == "every method" else len(spec["tasks"])
    assert len(api.load_results(tmp_path / "store").trials) == wanted


def test_all_rows_to_train_on_leave_some_for_dev(hub_data: Path) -> None:
    """What the SuperGLUE protocol freezes; its smallest sets have fewer rows than it holds out of the others."""
    import numpy as np

    from harness.task import Shots, draw

    task, dev = catalog.load("task", "superglue-boolq")(), Shots.parse(load_suite("superglue-prompt-tuning").dev, "dev")
    data = draw(task, np.random.default_rng(0), train=Shots(), dev=dev)
    assert len(task.pool()) < 500 and len(data.dev) == len(task.pool()) // 5 and len(data.train) == len(task.pool()) - len(data.dev)
