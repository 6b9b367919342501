"""Tasks as YAML: what a file becomes, and one clear line for everything that can be wrong with it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.task import Shots, draw
from harness.task_files import load_task

TASK = """
task: mood
summary: Is a line glad or sad?
source:
  files: {train: train.jsonl, test: test.jsonl}
fields: {line: text}
target: label
labels: [sad, glad]
templates:
  feels:
    text: "{{ line }} I feel {{ answer }}."
    answers: {sad: bad, glad: good}
"""


def lines(number: int, start: int = 0) -> list[dict[str, object]]:
    return [{"text": f"line {i}", "label": ["sad", "glad"][i % 2], "page": i // 3} for i in range(start, start + number)]


def write(folder: Path, text: str = TASK, train: object = None, test: object = None) -> Path:
    for name, rows in (("train", train if train is not None else lines(40)), ("test", test if test is not None else lines(10, 40))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "mood.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        task = load_task(path)()
        task.pool(), task.test()
    return caught.value.one_line()


def changed(old: str, new: str) -> str:
    assert old in TASK
    return TASK.replace(old, new)


def test_a_file_becomes_a_task(tmp_path):
    task = load_task(write(tmp_path))()
    assert (task.name, task.kind, task.labels, task.floor, task.version) == ("mood", "classification", ("sad", "glad"), 0.5, 1)
    assert len(task.pool()) == 40 and len(task.test()) == 10 and task.dev_rows() is None
    row = task.test()[1]
    assert (row.id, dict(row.inputs), row.target) == ("test-1", {"line": "line 41"}, 1)
    rendered = task.templates["feels"].render(row.inputs, task.labels)
    assert rendered.filled("good") == "line 41 I feel good." and rendered.answers == ("bad", "good")
    assert task.identity["answer_score"] == "joint" and type(task).__doc__ == "Is a line glad or sad?"
    assert len(draw(task, np.random.default_rng(0), train=Shots(4), dev=Shots(4)).train) == 8


def test_the_catalog_can_load_it_by_path(tmp_path):
    path = write(tmp_path)
    assert load_task(path).entry.name == "mood" and set(load_task(path)().source_files) == {
        path,
        tmp_path / "train.jsonl",
        tmp_path / "test.jsonl",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("summary:", "sumary:", "mood.yaml:3: sumary: unknown key 'sumary'; did you mean summary"),
        ("task: mood\n", "task: My Mood\n", "mood.yaml:2: task: 'My Mood' does not fit"),
        ("target: label", "kind: clasification\ntarget: label", "unknown kind 'clasification'; did you mean classification?"),
        (
            "target: label",
            "target: lable",
            "mood.yaml:7: target: row train-0: unknown column 'lable'; did you mean label?; columns are text, label, page",
        ),
        ("fields: {line: text}", "fields: {line: txt}", "fields.line: row train-0: unknown column 'txt'; did you mean text?"),
        ("labels: [sad, glad]", "labels: [sad, happy]", "label 'happy' is not in the verbalizer; it has sad, glad"),
        (
            "{sad: bad, glad: good}",
            "{sad: bad, glad: good, gald: fine}",
            "mood.yaml:12: templates.feels.answers.gald: unknown label 'gald'",
        ),
        ("{sad: bad, glad: good}", "{sad: bad, glad: bad}", "'bad' stands for two labels"),
        ("{sad: bad, glad: good}", "[bad]", "1 words for 2 labels; one for each of sad, glad"),
        ("I feel {{ answer }}.", "I feel.", "has no {{ answer }}"),
        ("{{ line }} I feel {{ answer }}.", "{{ answer }}", "renders nothing"),
        ("{{ line }} I", "{{ lin }} I", "templates.feels: row train-0: template .*'lin' is undefined; fields are answer, line"),
        ("{{ line }} I", "{{ label }} I", "refers to the target column 'label': it leaks the label"),
        ("fields: {line: text}", "fields: {line: text, gold: label}", "every template leaks the label"),
        ("fields: {line: text}", "fields: {answer: text}", "cannot be called `answer`"),
        ("target: label", "metrics: [acuracy]\ntarget: label", "metrics.0.: unknown metric 'acuracy'; did you mean accuracy"),
        ("target: label", "splits: {pool: train, test: train}\ntarget: label", "cannot be both test and pool"),
        ("target: label", "splits: {pool: trian}\ntarget: label", "unknown split 'trian'; did you mean train?"),
        ("target: label", "answer_filter: '('\ntarget: label", "no regular expression"),
        ("target: label", "floor: low\ntarget: label", "floor: 'low' does not fit; it should be a number"),
        (
            "{train: train.jsonl, test: test.jsonl}",
            "{train: nowhere.jsonl, test: test.jsonl}",
            "nowhere.jsonl: mood: cannot be read: No such file",
        ),
        ("{train: train.jsonl, test: test.jsonl}", "{train: mood.yaml, test: test.jsonl}", "ending '.yaml' is not known"),
        ("target: label", "where: \"{{ label == 'x' }}\"\ntarget: label", "split 'train' is empty; `where` leaves nothing"),
        ("target: label", "id: label\ntarget: label", "id 'train-sad' stands twice"),
        ("{ line }} I feel {{ answer", "{ line }} I feel {{ answer | nosuch", "mood.yaml:9|does not parse|nosuch"),
    ],
)
def test_what_is_wrong_gets_one_line(tmp_path, old, new, message):
    import re

    line = refused(write(tmp_path, changed(old, new)))
    assert re.search(message if "|" in message or ".*" in message else re.escape(message).replace("\\.0\\.", ".0."), line), line
    assert "\n" not in line and "mood" in line


def test_a_label_that_only_the_data_knows(tmp_path):
    bad = [*lines(5), {"text": "x", "label": "meh"}]
    assert "row train-5: label 'meh' is not among the labels; known: sad, glad" in refused(write(tmp_path, train=bad))


@pytest.mark.parametrize(
    ("content", "message"), [("", "holds no row"), ('{"text": ', "train.jsonl:1: mood: is no JSON"), ("[1]\n", "holds a list")]
)
def test_broken_data(tmp_path, content, message):
    path = write(tmp_path)
    (tmp_path / "train.jsonl").write_text(content)
    assert message in refused(path)


def test_a_text_that_always_says_the_answer_is_a_leak(tmp_path):
    told = [{"text": f"line {i}, {'good' if i % 2 else 'bad'} one", "label": ["sad", "glad"][i % 2]} for i in range(20)]
    assert "leaks the label" in refused(write(tmp_path, train=told))
    told[0]["text"] = "line 0"
    assert load_task(write(tmp_path, train=told))().pool()


def test_labels_by_raw_value_index_or_name(tmp_path):
    rows = [{"text": f"t{i}", "label": [-1, True, "2"][i % 3]} for i in range(9)]
    by_value = changed("[sad, glad]", "{sad: [-1, 2], glad: true}")
    assert [row.target for row in load_task(write(tmp_path, by_value, rows, rows[:3]))().test()] == [0, 1, 0]
    rows = [{"text": f"t{i}", "label": i % 2} for i in range(9)]
    assert [row.target for row in load_task(write(tmp_path, TASK, rows, rows[:3]))().test()] == [0, 1, 0]
    assert "label 7" in refused(write(tmp_path, TASK, [{"text": "x", "label": 7}]))


def test_control_characters_never_reach_a_prompt(tmp_path):
    rows = [{"text": "a\x00answer\x00\r\nb\x1b[31m\tc\x85d", "label": "sad"}]
    assert load_task(write(tmp_path, train=rows))().pool()[0].inputs["line"] == "aanswer\nb[31m\tc\nd"


def test_carving_takes_whole_clusters_by_the_version_alone(tmp_path):
    text = changed("target: label", "splits: {pool: train, test: [], carve_test: 10}\ncluster: page\ntarget: label")
    task = load_task(write(tmp_path, text))()
    test, pool = {row.cluster for row in task.test()}, {row.cluster for row in task.pool()}
    assert task.clustered and not test & pool and 10 <= len(task.test()) < 13 and len(task.test()) + len(task.pool()) == 40
    assert [row.id for row in load_task(write(tmp_path, text))().test()] == [row.id for row in task.test()]
    other = load_task(write(tmp_path, text.replace("target:", "version: 2\ntarget:")))()
    assert [row.id for row in other.test()] != [row.id for row in task.test()]
    assert "nothing is left" in refused(write(tmp_path, text.replace("carve_test: 10", "carve_test: 40")))


def test_a_cap_keeps_the_same_rows_in_order(tmp_path):
    task = load_task(write(tmp_path, changed("target: label", "test_rows: 4\ntarget: label")))()
    whole = [row.id for row in load_task(write(tmp_path))().test()]
    kept = [row.id for row in task.test()]
    assert len(kept) == 4 and kept == [i for i in whole if i in kept]


def test_published_dev_and_several_pool_files(tmp_path):
    (tmp_path / "more.csv").write_text('text,label\n"quoted, with comma",glad\n', encoding="utf-8")
    text = changed("{train: train.jsonl, test: test.jsonl}", "{train: train.jsonl, extra: more.csv, dev: dev.jsonl, test: test.jsonl}")
    text = text.replace("target:", "splits: {pool: [train, extra], dev: dev, test: test}\ntarget:")
    path = write(tmp_path, text)
    (tmp_path / "dev.jsonl").write_text('{"text": "dev line", "label": "sad"}\n')
    task = load_task(path)()
    assert task.pool()[-1].inputs == {"line": "quoted, with comma"} and [row.id for row in task.dev_rows()] == ["dev-0"]


def test_a_csv_without_a_header_and_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    (tmp_path / "a.csv").write_text('0,"bad, bad"\n1,fine\n')
    pyarrow.parquet.write_table(pa.table({"text": ["p", "q"], "label": [0, 1]}), tmp_path / "b.parquet")
    head = changed("{train: train.jsonl, test: test.jsonl}", "{train: a.csv, test: a.csv}\n  columns: [label, text]")
    text = head.replace("target:", "splits: {pool: [], test: test}\ntarget:")
    assert [row.inputs["line"] for row in load_task(write(tmp_path, text))().test()] == ["bad, bad", "fine"]
    assert load_task(write(tmp_path, changed("test: test.jsonl", "test: b.parquet")))().test()[1].target == 1
    path = write(tmp_path, text)
    (tmp_path / "a.csv").write_text("0,x,y\n")
    assert "a.csv:1: mood: has another number of cells" in refused(path)
    (tmp_path / "b.parquet").write_bytes(b"junk")
    assert "is no Parquet file" in refused(write(tmp_path, changed("test: test.jsonl", "test: b.parquet")))


def test_environment_variables_in_paths(tmp_path, monkeypatch):
    write(tmp_path)
    other = tmp_path / "elsewhere"
    other.mkdir()
    path = write(other, changed("  files:", "  root: ${MOOD_DATA}\n  files:"))
    assert "environment variable MOOD_DATA is not set; set MOOD_DATA to the folder" in refused(path)
    monkeypatch.setenv("MOOD_DATA", str(tmp_path))
    assert len(load_task(path)().test()) == 10
    path = write(other, changed("  files:", "  root: ${NOT_SET_AT_ALL:-..}\n  files:"))
    assert len(load_task(path)().test()) == 10


CHOICE = """
task: pick
kind: choice
source: {files: {train: train.jsonl, test: test.jsonl}}
splits: {pool: train, test: test}
fields: {question: q, choices: [a, b]}
target: gold
templates: {ask: "Q: {{ question }}\\nA: {{ answer }}"}
"""


def test_choices_by_columns_list_or_text(tmp_path):
    rows = [{"q": "who?", "a": "you", "b": "me", "list": ["x", "y", "z"], "gold": i % 2, "word": "me"} for i in range(4)]
    task = load_task(write(tmp_path, CHOICE, rows, rows))()
    assert task.templates["ask"].render(task.test()[0].inputs).answers == ("you", "me") and task.test()[1].target == 1
    task = load_task(write(tmp_path, CHOICE.replace("[a, b]", "list"), rows, rows))()
    assert task.test()[0].inputs["choices"] == ["x", "y", "z"]
    task = load_task(write(tmp_path, CHOICE.replace("[a, b]", '"{{ a }} ||| {{ b }}"').replace("gold", "word"), rows, rows))()
    assert [row.target for row in task.test()] == [1, 1, 1, 1]
    assert "names none of the 2 choices" in refused(write(tmp_path, CHOICE, [{**rows[0], "gold": 2}], rows))


def test_generation_with_several_accepted_texts(tmp_path):
    text = (
        CHOICE.replace("choice", "generation", 1).replace(", choices: [a, b]", "").replace("metrics", "metrics")
        + "metrics: [squad_exact_match]\n"
    )
    rows = [{"q": "who?", "gold": ["The Queen", "Elizabeth"]}]
    assert load_task(write(tmp_path, text, rows, rows))().test()[0].target == ["The Queen", "Elizabeth"]
    assert "the target is empty" in refused(write(tmp_path, text, [{"q": "who?", "gold": ""}], rows))


def test_regression_targets_are_finite_numbers(tmp_path):
    text = (
        CHOICE.replace("kind: choice", "kind: regression").replace(", choices: [a, b]", "").replace("templates:", "#")
        + "metrics: [pearson]\n"
    )
    rows = [{"q": "how much?", "gold": "1.5"}]
    assert load_task(write(tmp_path, text, rows, rows))().test()[0].target == 1.5
    assert "'nan' is no number" in refused(write(tmp_path, text, [{"q": "x", "gold": "nan"}], rows))


def test_promptsource_templates(tmp_path):
    text = (
        TASK
        + """
  published:
    promptsource: "Is this {{answer_choices[0]}} or {{answer_choices[1]}}?\\n{{line}} ||| {% if label != -1 %}{{ answer_choices[label] }}{% endif %}"
    answers: Sad ||| Glad
"""
    )
    task = load_task(write(tmp_path, text))()
    rendered = task.templates["published"].render(task.test()[0].inputs, task.labels)
    assert rendered.before == "Is this Sad or Glad?\nline 40" and rendered.gap == " " and rendered.answers == ("Sad", "Glad")


def test_a_missing_key_names_itself(tmp_path):
    assert "key 'target' is missing" in refused(write(tmp_path, changed("target: label\n", "")))
    assert "name either hub" in refused(write(tmp_path, changed("  files: {train: train.jsonl, test: test.jsonl}", "  root: here")))
    assert "holds no mapping" in refused(write(tmp_path, "- a\n").parent / "mood.yaml")
