"""Every task that ships as YAML: it loads, its hub columns are those of published templates, and its real rows render."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import safe_yaml
from harness.metrics import get
from harness.task import Shots, draw
from harness.task_files import FileTask, load_task
from harness.task_rows import columns_of

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HARNESS_TEST_DATA") or ROOT.parent / "shared" / "data")
FOLDERS = ("glue", "superglue", "setfit", "lmbff", "text", "xnli", "qa", "local")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / "tasks" / folder).glob("*.yaml"))
LOCAL = [path for path in FILES if path.parent.name == "local"]
HUB = [path for path in FILES if "hub" in safe_yaml.load(path).data["source"]]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}: set HARNESS_TEST_DATA")


def ids(paths: list[Path]) -> list[str]:
    return [f"{path.parent.name}/{path.stem}" for path in paths]


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_it_loads_and_says_what_it_is(path):
    task = load_task(path)
    assert task.spec.summary and task.spec.licence and task.spec.tags and all(get(name) for name in task.metrics)
    assert task.kind == "regression" or task.templates


def test_names_are_unique_and_all_kinds_that_were_promised_are_there():
    names = [load_task(path).entry.name for path in FILES]
    assert len(set(names)) == len(names)
    glue = [f"glue-{name}" for name in ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")]
    superglue = [f"superglue-{name}" for name in ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")]
    setfit = [f"setfit-{name}" for name in ("emotion", "cr", "sst5", "enron-spam", "amazon-counterfactual", "ag-news")]
    lmbff = [f"lmbff-{name}" for name in ("sst5", "mr", "cr", "mpqa", "subj", "trec", "snli")]
    others = ["ag-news", "trec", "gsm8k", "arc-easy", "arc-challenge", "boolq", "piqa", "xnli-en", "semeval2010-task8"]
    assert not {*glue, *superglue, *setfit, *lmbff, *others} - set(names)
    wanted = ("sst2", "subj", "cola", "ag-news", "rte", "mrpc", "banking77", "mr", "mpqa", "boolq", "gsm8k", "arc-easy")
    assert not {f"{name}-local" for name in wanted} - set(names)


def made_rows(hub: str, config: str | None, number: int = 24) -> Iterator[dict[str, Any]]:
    """Rows with the columns that the hub's data sets have."""
    for i in range(number):
        label, text = i % 2, f"made text {i}."
        columns: dict[str, Any] = {
            ("nyu-mll/glue", "cola"): {"sentence": text},
            ("nyu-mll/glue", "sst2"): {"sentence": text},
            ("nyu-mll/glue", "mrpc"): {"sentence1": text, "sentence2": f"Other {text}"},
            ("nyu-mll/glue", "qqp"): {"question1": text, "question2": f"Other {text}"},
            ("nyu-mll/glue", "stsb"): {"sentence1": text, "sentence2": f"Other {text}"},
            ("nyu-mll/glue", "mnli"): {"premise": text, "hypothesis": f"Other {text}"},
            ("nyu-mll/glue", "qnli"): {"question": text, "sentence": f"Other {text}"},
            ("nyu-mll/glue", "rte"): {"sentence1": text, "sentence2": f"Other {text}"},
            ("nyu-mll/glue", "wnli"): {"sentence1": text, "sentence2": f"Other {text}"},
            ("aps/super_glue", "boolq"): {"passage": f"Title {i // 2} -- {text}", "question": f"is it {i}"},
            ("aps/super_glue", "cb"): {"premise": text, "hypothesis": f"Other {text}"},
            ("aps/super_glue", "copa"): {"premise": text, "choice1": f"A {i}", "choice2": f"B {i}", "question": ["cause", "effect"][label]},
            ("aps/super_glue", "multirc"): {"paragraph": text, "question": "q?", "answer": f"a {i}", "idx": {"paragraph": i // 3, "question": i}},
            ("aps/super_glue", "record"): {"passage": text, "query": "@placeholder did", "entities": ["A", "B"], "answers": ["A"], "idx": {"passage": i, "query": i}},
            ("aps/super_glue", "rte"): {"premise": text, "hypothesis": f"Other {text}"},
            ("aps/super_glue", "wic"): {"word": "made", "sentence1": text, "sentence2": f"Other {text}"},
            ("aps/super_glue", "wsc.fixed"): {"text": text, "span1_text": "made", "span2_text": "text", "span1_index": 0, "span2_index": 1},
            ("allenai/ai2_arc", config): {"question": text, "choices": {"text": ["x", "y", "z"], "label": ["A", "B", "C"]}, "answerKey": "ABC"[i % 3]},
            ("google/boolq", None): {"passage": text, "question": "is it", "answer": bool(label)},
            ("baber/piqa", None): {"goal": text, "sol1": f"x {i}", "sol2": f"y {i}"},
            ("openai/gsm8k", "main"): {"question": text, "answer": f"First, count.\n#### 1,{i:03d}"},
            ("CogComp/trec", None): {"text": text, "coarse_label": i % 6, "fine_label": i},
            ("SemEvalWorkshop/sem_eval_2010_task_8", None): {"sentence": f"The <e1>cup</e1> of <e2>tea {i}</e2>.", "relation": i % 19},
            ("stanfordnlp/snli", None): {"premise": text, "hypothesis": f"Other {text}"},
            ("facebook/xnli", config): {"premise": text, "hypothesis": f"Other {text}"},
        }.get((hub, config), {"text": text})  # fmt: skip
        yield {**columns, **({} if {"relation", "coarse_label", "answerKey", "answers"} & set(columns) else {"label": label})}


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HARNESS_HUB_DATA", str(tmp_path / "hub"))
    return tmp_path / "hub"


def made_folder(root: Path, task: type[FileTask]) -> None:
    """A folder in hub format with every split that the task reads."""
    import pyarrow as pa
    import pyarrow.parquet

    source, place = task.spec.source, root / str(task.spec.source.hub)
    names = {*task.spec.splits.pool, *task.spec.splits.test, *([task.spec.splits.dev] if task.spec.splits.dev else [])}
    (place / "data").mkdir(parents=True)
    table = pa.Table.from_pylist(list(made_rows(str(source.hub), source.config)))
    for name in names:
        pyarrow.parquet.write_table(table, place / "data" / f"{name}.parquet")
    files = "".join(f"\n  - {{split: {name}, path: data/{name}.parquet}}" for name in sorted(names))
    (place / "README.md").write_text(f"---\nconfigs:\n- config_name: {source.config or 'default'}\n  data_files:{files}\n---\n")


@pytest.mark.parametrize("path", HUB, ids=ids(HUB))
def test_hub_tasks_read_a_folder_in_hub_format(hub, path):
    task = load_task(path)()
    made_folder(hub, type(task))
    rows = task.test()
    assert len(rows) == 24
    for template in task.templates.values():
        rendered = template.render(rows[1].inputs, task.labels if task.kind == "classification" else ())
        assert rendered.answers is None or rows[1].target < len(rendered.answers)
        assert "<e1>" not in rendered.before or "name" in task.templates


PROMPTSOURCE = {
    **{f"glue/{name}": f"glue/{name}" for name in ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")},
    **{f"superglue/{name}": f"super_glue/{name}" for name in ("boolq", "cb", "copa", "multirc", "record", "rte", "wic")},
    **{"superglue/wsc": "super_glue/wsc.fixed", "setfit/emotion": "emotion", "text/ag-news": "ag_news", "text/trec": "trec"},
    **{"text/rotten-tomatoes": "rotten_tomatoes", "qa/piqa": "piqa", "qa/arc-easy": "ai2_arc/ARC-Easy", "xnli/xnli-en": "xnli/en"},
    **{"qa/arc-challenge": "ai2_arc/ARC-Challenge", "text/semeval2010-task8": "sem_eval_2010_task_8", "glue/mnli-mm": "glue/mnli"},
}
BOOKKEEPING = {"idx"}  # ids that no prompt shows


@needs_data
@pytest.mark.parametrize("name", PROMPTSOURCE)
def test_columns_are_those_of_published_templates(name):
    import jinja2
    import jinja2.meta

    path = ROOT / "tasks" / f"{name}.yaml"
    path = path if path.exists() else path.with_name(path.stem.removeprefix("xnli-") + ".yaml")
    spec = load_task(path).spec
    published: set[str] = set()
    for line in (DATA / "prompts" / "promptsource_templates" / "all.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["dataset"] == PROMPTSOURCE[name]:
            for text in (item["jinja"], item["answer_choices"] or ""):
                environment = jinja2.Environment()
                environment.filters["choice"] = lambda value: value  # PromptSource's own filter
                published |= jinja2.meta.find_undeclared_variables(environment.parse(text))
    texts = [part for text in spec.fields.values() for part in ([text] if isinstance(text, str) else text)] + [spec.target]
    mine = {column.split(".")[0] for text in texts for column in columns_of(text)}
    assert mine and not mine - published - BOOKKEEPING


@needs_data
@pytest.mark.parametrize(("name", "dataset"), [("setfit/emotion", "emotion"), ("text/semeval2010-task8", "sem_eval_2010_task_8")])
def test_label_order_is_the_published_one(name, dataset):
    task = load_task(ROOT / "tasks" / f"{name}.yaml")
    orders = []
    for line in (DATA / "prompts" / "promptsource_templates" / "all.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["dataset"] == dataset and item["answer_choices"]:
            orders.append([word.strip() for word in item["answer_choices"].split("|||")])
    assert any([words(word) for word in order] == [words(label) for label in task.labels] for order in orders)


def words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


@needs_data
@pytest.mark.parametrize(
    "name", ["glue/rte", "glue/sst2", "superglue/boolq", "superglue/wsc", "superglue/cb", "text/trec", "setfit/emotion"]
)
def test_published_templates_are_taken_as_they_are(hub, name, tmp_path):
    """PromptSource texts, read from the data at test time, in place of the task's own templates."""
    path = ROOT / "tasks" / f"{name}.yaml"
    data = safe_yaml.load(path).data
    published = {}
    for i, line in enumerate((DATA / "prompts" / "promptsource_templates" / "all.jsonl").read_text(encoding="utf-8").splitlines()):
        item = json.loads(line)
        choices = (item["answer_choices"] or "").count("|||") + 1
        if item["dataset"] == PROMPTSOURCE[name] and item["original_task"] and choices == len(data["labels"]):
            published[f"t{i}"] = {"promptsource": item["jinja"], "answers": item["answer_choices"]}
    assert len(published) >= 3
    shown = {column for item in published.values() for column in columns_of(item["promptsource"].split("|||")[0])} - {"answer_choices"}
    fields = {**data["fields"], **{column: column for column in shown}}
    (tmp_path / "t.yaml").write_text(safe_yaml.dump({**data, "fields": fields, "templates": published}), encoding="utf-8")
    task = load_task(tmp_path / "t.yaml")()
    made_folder(hub, type(task))
    for template in task.templates.values():
        rendered = template.render(task.test()[0].inputs, task.labels)
        assert rendered.before and rendered.answers is not None and len(rendered.answers) == len(task.labels)


@needs_data
@pytest.mark.parametrize("path", LOCAL, ids=ids(LOCAL))
def test_real_rows_are_read_and_rendered(path, monkeypatch):
    monkeypatch.setenv("HARNESS_TEST_DATA", str(DATA))
    task = load_task(path)()
    test, pool = task.test(), task.pool()
    assert len(test) >= 50 and len(pool) >= 16
    for template in task.templates.values():
        for row in test[:: max(1, len(test) // 100)]:
            rendered = template.render(row.inputs, task.labels if task.kind == "classification" else ())
            assert rendered.answers is None or len(rendered.answers) > row.target
    if task.kind == "classification":
        assert len({row.target for row in test}) == len(task.labels) or task.name == "semeval2010-task8-local"
    data = draw(task, np.random.default_rng(0), train=Shots(total=16), dev=Shots(total=16), test_rows=50)
    assert len(data.train) == len(data.dev) == 16 and len(data.test) == 50
    contents = [{row.content for row in part} for part in (data.train, data.dev, data.test)]
    assert not contents[0] & contents[2] and not contents[1] & contents[2] and not contents[0] & contents[1]


def test_absent_data_says_what_to_set(monkeypatch, tmp_path):
    from harness.errors import InputError

    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere/text_classification/sst2/.*: sst2-local: cannot be read: No such file"):
        load_task(ROOT / "tasks" / "local" / "sst2.yaml")().test()
