"""Tasks as YAML files: `load_task(path)` gives the task's class. See docs/add-a-task.md for every field.

Reading the file checks everything that does not need data; the first use of the rows checks the rest (columns, labels,
templates), before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from harness import metrics, safe_yaml
from harness.errors import InputError, unknown_name
from harness.registry import Entry
from harness.safe_yaml import Marks
from harness.task import Row, Task
from harness.task_checks import check_rendering
from harness.task_rows import columns_of, is_jinja, leak, source_files, splits
from harness.task_spec import TaskSpec, TemplateSpec, validated
from harness.templates import Template


class FileTask(Task):
    """A task declared in a YAML file. Its rows are read at first use and kept."""

    spec: ClassVar[TaskSpec]
    file: ClassVar[Path]
    marks: ClassVar[Marks]
    positive: ClassVar[str | None] = None
    answer_score: ClassVar[str] = "joint"  # how a label of several tokens is scored: joint, mean or first
    prefix: ClassVar[str] = ""
    separator: ClassVar[str] = "\n\n"
    _rows: ClassVar[dict[str, list[Row]] | None] = None

    def _splits(self) -> dict[str, list[Row]]:
        cls = type(self)
        if cls._rows is None:
            try:
                found = splits(self.spec, self.file.parent)
                check_rendering(self, found, columns_of(self.spec.target))
            except InputError as error:
                line = None if error.file or not error.key else self.marks.line(tuple(error.key.split(".")))
                raise error.located(file=self.file, line=line, key=self.name) from None
            cls._rows = found
        return cls._rows

    def pool(self) -> Sequence[Row]:
        return self._splits()["pool"]

    def test(self) -> Sequence[Row]:
        return self._splits()["test"]

    def dev_rows(self) -> Sequence[Row] | None:
        return self._splits().get("dev")

    @property
    def source_files(self) -> list[Path]:
        """The files that the rows depend on: this one and the data's; rows read before are known to be the same while these are."""
        return [self.file, *source_files(self.spec, self.file.parent)]

    @property
    def identity(self) -> dict[str, Any]:
        own = {"answer_score": self.answer_score, "prefix": self.prefix, "separator": self.separator, "positive": self.positive}
        return {**super().identity, **own}


def load_task(path: str | Path) -> type[FileTask]:
    """The class of the task in a YAML file, ours or lm-evaluation-harness's."""
    path = Path(path)
    data, marks = safe_yaml.load(path)
    from harness.lm_eval_tasks import is_lm_eval, read_lm_eval

    return read_lm_eval(path) if isinstance(data, Mapping) and is_lm_eval(data) else task_class(validated(data, marks), marks, path)


def task_class(spec: TaskSpec, marks: Marks, path: Path) -> type[FileTask]:
    """A `FileTask` made of checked fields; faults that need no data are raised here."""
    _check(spec, marks)
    labels = tuple(spec.labels or ())
    declared: dict[str, Any] = {
        "__doc__": spec.summary,
        "__module__": __name__,
        "spec": spec,
        "file": path,
        "marks": marks,
        "entry": Entry("task", spec.task, paper=spec.paper, tags=tuple(spec.tags)),
        "version": spec.version,
        "kind": spec.kind,
        "labels": labels,
        "metrics": tuple(spec.metrics),
        "floor": spec.floor if spec.floor is not None else chance(spec),
        "ceiling": spec.ceiling,
        "templates": {name: to_template(name, item, labels, marks) for name, item in spec.templates.items()},
        "stops": tuple(spec.stops),
        "max_new_tokens": spec.max_new_tokens,
        "answer_filter": spec.answer_filter,
        "clustered": spec.cluster is not None,
        "positive": spec.positive,
        "answer_score": spec.answer_score,
        "prefix": spec.prefix,
        "separator": spec.separator,
    }
    return type("".join(part.title() for part in re.split(r"[^a-z0-9]+", spec.task)), (FileTask,), declared)


def chance(spec: TaskSpec) -> float | None:
    """Chance in the primary metric, where it follows from the number of labels alone."""
    if spec.kind == "classification" and spec.metrics[0] in ("accuracy", "balanced_accuracy"):
        return 1 / len(spec.labels or ())
    return {"mcc": 0.0, "pearson": 0.0, "spearman": 0.0}.get(spec.metrics[0])


def to_template(name: str, item: TemplateSpec, labels: Sequence[str], marks: Marks) -> Template:
    """A template with its verbalizer; a label without a word, and a word for no label, are errors."""
    path = ("templates", name)
    answers: Mapping[str, str] | str | None
    if isinstance(item.answers, str) and labels and not is_jinja(item.answers):
        answers = _by_label([word.strip() for word in item.answers.split("|||")], labels, marks, path)
    elif isinstance(item.answers, list):
        answers = _by_label(item.answers, labels, marks, path)
    else:
        answers = item.answers
    if isinstance(answers, Mapping):
        answers = _checked_words(answers, labels, marks, path)
    try:
        if item.promptsource is None:
            return Template(item.text or "", answers, held_out=item.held_out, target=item.target)
        return from_promptsource(item, answers)
    except InputError as error:
        raise marks.error((*path, "promptsource" if item.promptsource else "text"), error.message, expected=error.expected) from None


def from_promptsource(item: TemplateSpec, answers: Mapping[str, str] | str | None) -> Template:
    """`input ||| target`; `answer_choices` in the input is what `answers` gives, as in PromptSource."""
    made = Template.from_promptsource(item.promptsource or "", answers)
    before = made.text
    if "answer_choices" in before and answers is not None:
        choices = " ||| ".join(answers.values()) if isinstance(answers, Mapping) else answers
        known = f"{{% set choice_text %}}{choices}{{% endset %}}{{% set answer_choices = choice_text.split('|||') | map('trim') | list %}}"
        before = known + before
    gold = item.target if item.target is not None else made.target if answers is None else None
    return Template(before, answers, held_out=item.held_out, target=gold)


def _by_label(words: Sequence[str], labels: Sequence[str], marks: Marks, path: tuple[Any, ...]) -> dict[str, str]:
    if len(words) != len(labels):
        raise marks.error(
            (*path, "answers"), f"{len(words)} words for {len(labels)} labels", expected=f"one for each of {', '.join(labels)}"
        )
    return dict(zip(labels, words, strict=True))


def _checked_words(answers: Mapping[str, str], labels: Sequence[str], marks: Marks, path: tuple[Any, ...]) -> Mapping[str, str]:
    for label in labels:
        if label not in answers:
            raise marks.error((*path, "answers"), f"label {label!r} is not in the verbalizer", expected=f"it has {', '.join(answers)}")
    for label in answers:
        if label not in labels:
            unknown = unknown_name("label", label, labels)
            raise marks.error((*path, "answers", label), unknown.message, expected=unknown.expected)
    twice = [word for word in answers.values() if list(answers.values()).count(word) > 1]
    if twice:
        raise marks.error((*path, "answers"), f"{twice[0]!r} stands for two labels", expected="a word of its own for each label")
    return answers


def _check(spec: TaskSpec, marks: Marks) -> None:
    for i, name in enumerate(spec.metrics):
        try:
            metrics.get(name)
        except InputError as error:
            raise marks.error(("metrics", i), error.message, expected=error.expected) from None
    if spec.answer_filter is not None:
        try:
            re.compile(spec.answer_filter)
        except re.error as error:
            raise marks.error(("answer_filter",), f"{spec.answer_filter!r} is no regular expression: {error}") from None
    found = leak(spec)
    if found:
        raise marks.error(("fields",), found, expected="take the target's column out of the fields")
