"""What docs/add-a-model.md says: its entry loads by name, its spec forms parse, its tables are the code's, its new architecture works."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from harness import catalog, safe_yaml
from harness.backbones import architectures, capabilities
from harness.backbones.describe import KEYS, describe, parse
from harness.backbones.injection import Injection
from harness.backbones.load import clear, load
from harness.catalog.lookup import PATHS
from harness.templates import Rendered, Template

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-model.md").read_text(encoding="utf-8")


@pytest.fixture
def rosebud(tmp_path: Path, backbone_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    ((name, text),) = re.findall(r"```yaml file=(\S+)\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copytree(backbone_folder("masked_lm"), tmp_path / "weights" / "rosebud")
    monkeypatch.setenv(PATHS, os.environ.get(PATHS, ""))
    catalog.use(tmp_path)
    yield tmp_path
    monkeypatch.undo()
    catalog.refresh()


def prompt() -> Rendered:
    template = Template("{{ text }} . it was {{ answer }} .", answers={"no": "bad", "yes": "good"})
    return template.render({"text": "the cat sat"}, ("no", "yes"))


def test_the_registered_entry_loads_and_answers(rosebud: Path) -> None:
    backbone = load("rosebud")
    assert backbone.max_length == 128 and backbone.family == "masked_lm"
    assert backbone.label_scores([prompt()]).shape == (1, 2)


def test_identity_is_by_content(rosebud: Path, tmp_path: Path) -> None:
    here = describe({"folder": str(rosebud / "weights" / "rosebud")}).identity
    shutil.move(rosebud / "weights" / "rosebud", tmp_path / "moved" / "rosebud")
    assert describe({"folder": str(tmp_path / "moved" / "rosebud")}).identity == here


def test_the_untrained_control_is_another_model(rosebud: Path) -> None:
    trained, control = load("rosebud"), load({"name": "rosebud", "untrained": 7})
    again, other = load({"name": "rosebud", "untrained": 7}), load({"name": "rosebud", "untrained": 8})
    scores = [backbone.label_scores([prompt()]) for backbone in (trained, control, again, other)]
    assert not torch.equal(scores[0], scores[1]) and torch.equal(scores[1], scores[2]) and not torch.equal(scores[1], scores[3])


def test_every_form_of_the_page_parses() -> None:
    (text,) = re.findall(r"```yaml\n(backbones:.*?)```", PAGE, re.DOTALL)
    for spec in safe_yaml.parse_value(text)["backbones"]:
        assert parse(spec)["label"]


def test_the_tables_are_the_codes() -> None:
    for key in KEYS:
        assert f"`{key}`" in PAGE, key
    for field in fields(architectures.Architecture):
        assert field.name == "name" or f"`{field.name}`" in PAGE, field.name
    rows = {
        row[0].strip("`"): row[2:]
        for line in PAGE.splitlines()
        if (row := [part.strip() for part in line.split("|")[1:-1]]) and len(row) == 6
    }
    order = ("masked_lm", "causal_lm", "encoder_decoder", "encoder")
    for name in capabilities.CAPABILITIES:
        assert rows[name] == ["yes" if name in capabilities.EXPECTED[family] else "no" for family in order], name  # type: ignore[index]


def test_the_new_architecture_works(backbone_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card on the page, on a random ELECTRA: unsupported without it, every capability confirmed with it."""
    from harness.tasks.world import tokenizer as world_tokenizer
    from transformers import ElectraConfig, ElectraForMaskedLM

    from harness.errors import UnsupportedError

    folder = tmp_path / "electra"
    shutil.copytree(backbone_folder("masked_lm"), folder)
    shape = {"hidden_size": 16, "embedding_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    torch.manual_seed(0)
    ElectraForMaskedLM(ElectraConfig(vocab_size=world_tokenizer.SIZE, max_position_embeddings=128, **shape)).save_pretrained(folder)
    clear()
    with pytest.raises(UnsupportedError, match="electra"):
        load({"folder": str(folder)})

    ((name, card),) = re.findall(r"```python card=(\w+)\n_\w+ = (.*?)```", PAGE, re.DOTALL)
    made = eval(card, {"replace": replace, "_BERT": architectures._BERT})
    monkeypatch.setitem(architectures._BY_MODEL_TYPE, name, made)
    backbone = load({"folder": str(folder)})
    assert backbone.capabilities == capabilities.EXPECTED["masked_lm"]
    plain = backbone.label_scores([prompt()])
    vectors = backbone.sample_word_embeddings(3, __import__("numpy").random.default_rng(0))
    assert not torch.allclose(plain, backbone.label_scores([prompt()], injection=Injection(prompt=vectors)))
    clear()
