"""Specs, files that are missing, damaged or refused, identities, and what stays loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers.activations import NewGELUActivation

from harness.backbones import files, hub
from harness.backbones.capabilities import EXPECTED
from harness.backbones.describe import describe, parse
from harness.backbones.load import CLASSES, clear, load
from harness.errors import InputError, UnsupportedError

from .conftest import ARCHITECTURES

Folder = Callable[[str], Path]


@pytest.fixture
def copy(folder_of: Folder, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: shutil.copytree(folder_of(name), tmp_path / name)


def test_the_ways_to_name_a_backbone() -> None:
    assert parse("org/name") == {"hub": "org/name", "label": "org/name"}
    assert parse("./models/mine")["folder"] == "./models/mine"
    assert parse("/a/b/c") == {"folder": "/a/b/c", "label": "c"}
    assert parse({"folder": "mine", "dtype": "bfloat16"}) == {"folder": "mine", "dtype": "bfloat16", "label": "mine"}
    gpt2 = parse({"name": "gpt2", "revision": "abc"})
    assert (gpt2["hub"], gpt2["label"], gpt2["revision"], gpt2["family"]) == ("openai-community/gpt2", "gpt2", "abc", "causal_lm")
    assert parse({"name": "org/name"})["hub"] == "org/name"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("roberta-bse", r"unknown backbone 'roberta-bse'; did you mean roberta-base"),
        ({"hub": "a/b", "folder": "c"}, "does not say one place"),
        ({"hub": "a/b", "revison": "c"}, "did you mean revision"),
        ({"name": "gpt2", "max_length": 2}, "max_length"),
        ("./no/such/folder", "no such folder"),
        ({"package": "no_such_package_here"}, "not installed"),
    ],
)
def test_specs_that_cannot_be_taken(spec: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        describe(spec)  # type: ignore[arg-type]


def test_registered_entries_are_complete() -> None:
    from harness import catalog

    for entry in catalog.entries("backbone"):
        asked = parse(entry.name)
        assert asked["family"] in EXPECTED
        assert entry.summary


def test_describe_needs_no_torch(folder_of: Folder) -> None:
    import subprocess
    import sys

    code = f"import sys; from harness.backbones.describe import describe; print(describe({{'folder': {str(folder_of('gpt2'))!r}}}).family); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "causal_lm", done.stderr


def test_identity_is_of_content_not_of_place(copy: Callable[[str], Path], folder_of: Folder) -> None:
    there, here = describe({"folder": str(folder_of("bert"))}), copy("bert")
    moved = describe({"folder": str(here)})
    parts = ("weights", "tokenizer", "config")
    assert [moved.identity[part] for part in parts] == [there.identity[part] for part in parts]
    assert str(here) not in json.dumps(moved.identity)


@pytest.mark.parametrize("part", ["weights", "tokenizer", "config"])
def test_each_part_changes_the_identity(copy: Callable[[str], Path], part: str) -> None:
    folder = copy("bert")
    before = describe({"folder": str(folder)}).identity
    if part == "weights":
        path = folder / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    else:
        path = folder / ("tokenizer.json" if part == "tokenizer" else "config.json")
        content = json.loads(path.read_text())
        content["added_tokens" if part == "tokenizer" else "layer_norm_eps"] = [] if part == "tokenizer" else 1e-3
        path.write_text(json.dumps(content))
    after = describe({"folder": str(folder)}).identity
    assert {name for name in before if before[name] != after[name]} == {part}


def test_pickles_are_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model.bin: is not safetensors .*save_pretrained"):
        load({"folder": str(folder)})


def test_damaged_and_missing_files_are_named(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors: is damaged"):
        load({"folder": str(folder)})
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is missing"):
        load({"folder": str(folder)})
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: is damaged"):
        load({"folder": str(folder)})


def test_a_shard_that_is_missing_is_named(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / files.WEIGHTS_INDEX).write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors: is missing"):
        load({"folder": str(folder)})
    index["weight_map"] = {"a": "../outside.safetensors"}
    (folder / files.WEIGHTS_INDEX).write_text(json.dumps(index))
    with pytest.raises(InputError, match="outside of its folder"):
        load({"folder": str(folder)})


def test_weights_that_do_not_fit_are_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_embd": 64}))
    with pytest.raises(InputError, match="weights do not fit"):
        load({"folder": str(folder)})


def test_a_head_that_is_missing_is_said(folder_of: Folder) -> None:
    with pytest.raises(InputError, match="say family: encoder"):
        load({"folder": str(folder_of("bert-encoder")), "family": "masked_lm"})
    encoder = load({"folder": str(folder_of("bert")), "family": "encoder"})
    assert encoder.family == "encoder"


def test_a_tokenizer_that_is_missing_is_said(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match="no tokenizer"):
        load({"folder": str(folder)})


def test_a_tokenizer_that_is_damaged_is_said(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="tokenizer cannot be read"):
        load({"folder": str(folder)})


def test_unknown_families_are_unsupported(copy: Callable[[str], Path]) -> None:
    folder = copy("bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForTokenClassification"]}))
    with pytest.raises(UnsupportedError, match="BertForTokenClassification"):
        load({"folder": str(folder)})


def test_remote_code_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "homemade", "auto_map": {"AutoModelForCausalLM": "modeling.Homemade"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="--trust-remote-code"):
        load({"folder": str(folder)})


def test_the_hub_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    spec = {"hub": "no-such-organisation/model", "family": "causal_lm"}
    with pytest.raises(InputError, match=r"config\.json of no-such-organisation/model.*HF_HOME"):
        describe(spec)
    planned = describe(spec, fetch=False)
    assert (planned.folder, planned.family) == (None, "causal_lm")


@pytest.fixture
def hub_cache(folder_of: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache as the library lays it out, holding one model at one commit; the network is out of reach."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "cache" / "models--org--tiny"
    shutil.copytree(folder_of("gpt2"), root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    return root / "snapshots" / commit


def test_a_model_in_the_hubs_cache_is_used_offline(hub_cache: Path) -> None:
    found = describe("org/tiny")
    assert (found.folder, found.revision, found.family) == (hub_cache, hub_cache.name, "causal_lm")
    assert load("org/tiny").features(["a"]).shape == (1, 32)
    assert describe({"hub": "org/tiny", "revision": hub_cache.name}).identity == found.identity


def test_a_cached_model_without_weights_names_the_file(hub_cache: Path) -> None:
    (hub_cache / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors of org/tiny"):
        describe("org/tiny")
    (hub_cache / files.WEIGHTS_INDEX).write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    with pytest.raises(InputError, match=r"model-00001-of-00001\.safetensors of org/tiny"):
        describe("org/tiny")


def test_the_same_backbone_is_loaded_once(folder_of: Folder) -> None:
    spec = {"folder": str(folder_of("llama"))}
    first = load(spec)
    first.meter.truncated_tokens = 3
    again = load(spec)
    assert again is first
    assert again.meter.truncated_tokens == 0, "with a meter of its own"
    assert load(spec, dtype="bfloat16") is not first
    clear()
    assert load(spec) is not first


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_loaded_model_computes_what_the_library_computes(folder_of: Folder, name: str) -> None:
    """Our attention function and fused activations give the states of the model as the library loads it."""
    backbone = load({"folder": str(folder_of(name))})
    theirs = CLASSES[backbone.family].from_pretrained(folder_of(name), attn_implementation="eager").eval()
    given = backbone.tokenizer("the film was very good", return_tensors="pt")
    extra = {"decoder_input_ids": given["input_ids"]} if backbone.family == "encoder_decoder" else {}
    with torch.no_grad():
        ours, expected = (model(input_ids=given["input_ids"], **extra)[0] for model in (backbone.core, theirs))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, NewGELUActivation) for module in backbone.core.modules())


def test_dtype_and_length_can_be_said(folder_of: Folder) -> None:
    backbone = load({"folder": str(folder_of("llama")), "dtype": "bfloat16", "max_length": 40})
    assert next(backbone.model.parameters()).dtype == torch.bfloat16
    assert backbone.max_length == 40
    assert backbone.identity["dtype"] == "bfloat16"
