"""Hub data sets from local folders in hub format, and what is said when the hub is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.task_files import load_task

pytest.importorskip("datasets")

TASK = """
task: hub-mood
source: {hub: HUB}
splits: {pool: train, test: validation}
fields: {line: text}
target: label
labels: [sad, glad]
"""
CARD = """---
configs:
- config_name: plain
  data_files:
  - {split: train, path: plain/train.parquet}
  - {split: validation, path: plain/validation.parquet}
---
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.delenv("HARNESS_HUB_DATA", raising=False)


def hub_folder(folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet

    (folder / "plain").mkdir(parents=True)
    for split, number in (("train", 8), ("validation", 4)):
        table = pa.table({"text": [f"{split} {i}" for i in range(number)], "label": [i % 2 for i in range(number)]})
        pyarrow.parquet.write_table(table, folder / "plain" / f"{split}.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


def task_file(folder: Path, hub: str) -> Path:
    (folder / "hub-mood.yaml").write_text(TASK.replace("HUB", hub))
    return folder / "hub-mood.yaml"


def test_a_folder_in_hub_format_stands_for_a_hub_id(tmp_path):
    hub_folder(tmp_path / "data")
    task = load_task(task_file(tmp_path, "./data, config: plain"))()
    assert [row.inputs["line"] for row in task.test()] == [f"validation {i}" for i in range(4)] and len(task.pool()) == 8
    assert {file.name for file in task.source_files} == {"hub-mood.yaml", "README.md", "train.parquet", "validation.parquet"}


def test_a_copy_under_harness_hub_data_is_read_in_place_of_the_hub(tmp_path, monkeypatch):
    hub_folder(tmp_path / "mirror" / "owner" / "mood")
    monkeypatch.setenv("HARNESS_HUB_DATA", str(tmp_path / "mirror"))
    task = load_task(task_file(tmp_path, "owner/mood, config: plain, revision: abc"))()
    assert [row.target for row in task.test()] == [0, 1, 0, 1]


def test_offline_says_which_data_set_and_what_to_do(tmp_path):
    with pytest.raises(InputError) as caught:
        load_task(task_file(tmp_path, "nobody/nothing-at-all"))().test()
    line = caught.value.one_line()
    assert (
        "hub-mood.yaml:3" in line
        and "'nobody/nothing-at-all'" in line
        and "HARNESS_HUB_DATA/nobody/nothing-at-all" in line
        and "\n" not in line
    )


def test_missing_folder_split_and_configuration(tmp_path):
    hub_folder(tmp_path / "data")
    for hub, message in (
        ("./nowhere", "no such folder"),
        ("./data, config: plian", "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            load_task(task_file(tmp_path, hub))().test()
    path = task_file(tmp_path, "./data, config: plain")
    path.write_text(path.read_text().replace("test: validation", "test: tset"))
    with pytest.raises(InputError, match="unknown split 'tset'"):
        load_task(path)().test()
