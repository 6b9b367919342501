"""The example of docs/add-a-task.md, taken from the page, works."""

from __future__ import annotations

import re
from pathlib import Path

from harness.task_files import load_task
from harness.task_spec import SourceSpec, SplitSpec, TaskSpec, TemplateSpec

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"


def test_the_example_loads_and_renders(tmp_path):
    blocks = re.findall(r"```\w+ file=(\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert {name for name, _ in blocks} == {"train.jsonl", "test.jsonl", "dinner.yaml"}
    for name, text in blocks:
        (tmp_path / name).write_text(text, encoding="utf-8")
    task = load_task(tmp_path / "dinner.yaml")()
    assert task.name == "dinner-reviews" and task.clustered and [row.target for row in task.test()] == [1, 0]
    row = task.test()[0]
    assert task.templates["it-was"].render(row.inputs, task.labels).filled("great") == "the best dumplings in town It was great."
    asked = task.templates["question"].render(row.inputs, task.labels)
    assert asked.filled("Yes") == "the best dumplings in town\nDid the guest like it? Yes" and asked.answers == ("No", "Yes")


def test_every_field_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    for model in (TaskSpec, SourceSpec, SplitSpec, TemplateSpec):
        for field in model.model_fields:
            assert re.search(rf"\b{field}\b", page), field
