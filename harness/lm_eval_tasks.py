"""lm-evaluation-harness task YAML, read where its fields suffice; what is not supported is refused by name.

Prompts, choices and gold are what lm-evaluation-harness makes of the same file. `include` is followed; `!function` is refused
(a task file never runs code).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import safe_yaml
from harness.errors import InputError
from harness.safe_yaml import Marks
from harness.task_rows import columns_of, is_jinja
from harness.task_spec import validated

if TYPE_CHECKING:
    from harness.task_files import FileTask

MARKERS = ("doc_to_text", "doc_to_target", "doc_to_choice", "output_type", "dataset_path", "dataset_name", "include")
READ = (
    *("task", "dataset_path", "dataset_name", "dataset_kwargs", "training_split", "validation_split", "test_split", "fewshot_split"),
    *("doc_to_text", "doc_to_choice", "doc_to_target", "target_delimiter", "fewshot_delimiter", "description", "output_type"),
    *("generation_kwargs", "metric_list", "filter_list", "fewshot_config", "metadata", "tag", "group", "include", "repeats"),
)
# These change neither prompts nor scores; the number of shots is the suite's.
IGNORED = ("task_alias", "group_alias", "num_fewshot", "should_decontaminate", "doc_to_decontamination_query")
METRICS = {
    **{"acc": "accuracy", "acc_norm": "accuracy_norm", "mcc": "mcc", "f1": "f1", "exact_match": "exact_match", "brier_score": "brier"},
    **{"bleu": "bleu", "chrf": "chrf"},
}
FORMATS = {"json": ".jsonl", "csv": ".csv", "parquet": ".parquet"}


def is_lm_eval(data: Mapping[str, Any]) -> bool:
    return "source" not in data and (isinstance(data.get("task"), list) or any(key in data for key in MARKERS))


def read_lm_eval(path: Path) -> type[FileTask]:
    """The task class of an lm-evaluation-harness YAML file."""
    from harness.task_files import task_class

    data, marks = _with_includes(path, ())
    fields = _Translation(data, marks).fields()
    try:
        return task_class(validated(fields, marks), marks, path)
    except InputError as error:
        raise error.located(file=path) from None


def _with_includes(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], Marks]:
    if path.resolve() in seen:
        raise InputError("includes itself", file=path, key="include")
    data, marks = safe_yaml.load(path)
    if not isinstance(data, dict):
        raise InputError("holds no mapping", file=path, line=1)
    included = data.pop("include", None)
    base: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included] if included else []:
        base |= _with_includes(path.parent / str(name), (*seen, path.resolve()))[0]
    return {**base, **data}, marks


class _Translation:
    """lm-eval's fields -> the fields of our task files."""

    def __init__(self, data: dict[str, Any], marks: Marks) -> None:
        self.data = {key: value for key, value in data.items() if value is not None}
        self.marks = marks
        for key in self.data:
            if key not in READ and key not in IGNORED:
                raise self.refused(key)
        for key in ("task", "dataset_path", "doc_to_text", "doc_to_target"):
            if key not in self.data:
                raise marks.error((), f"key {key!r} is missing", expected="an lm-evaluation-harness task names it, itself or by include")
        if not isinstance(self.data["task"], str):
            raise self.refused("task", "a group of tasks")
        if self.data.get("repeats", 1) != 1:
            raise self.refused("repeats")

    def refused(self, key: str, what: str = "") -> InputError:
        text = f"{key}{f': {what}' if what else ''} of lm-evaluation-harness is not supported"
        return self.marks.error((key,), text, expected="write the task in our own format (docs/add-a-task.md)")

    def fields(self) -> dict[str, Any]:
        multiple = self.data.get("output_type", "generate_until") == "multiple_choice"
        if not multiple and self.data.get("output_type", "generate_until") != "generate_until":
            raise self.refused("output_type", str(self.data["output_type"]))
        text, inputs = self.text()
        found: dict[str, Any] = {
            "task": self.data["task"],
            "tags": [str(tag) for key in ("tag", "group") for tag in _list(self.data.get(key))],
            "version": max(1, int(float(_mapping(self.data.get("metadata")).get("version", 1)))),
            "source": self.source(),
            "splits": self.splits(),
            "fields": inputs,
            "target": self.target(),
            "templates": {"lm-eval": {"text": text}},
            "prefix": str(self.data.get("description", "")),
            "separator": str(self.data.get("fewshot_delimiter", "\n\n")),
            "metrics": self.metrics(),
        }
        self.check_fewshot()
        found |= self.choices(inputs) if multiple else self.generation()
        return found

    def text(self) -> tuple[str, dict[str, Any]]:
        text, delimiter = self.data["doc_to_text"], self.data.get("target_delimiter", " ")
        if not isinstance(text, str) or not text:
            raise self.refused("doc_to_text", repr(text))
        if re.fullmatch(r"\w+", text):
            text = f"{{{{ {text} }}}}"  # a column's name alone stands for the column
        names = columns_of(text) if is_jinja(text) else set()
        inputs: dict[str, Any] = {name: name for name in sorted(names - {"answer", "choices"})}
        if "choices" in names:
            text, inputs["choices_column"] = f"{{% with choices = choices_column %}}{text}{{% endwith %}}", "choices"
        if "answer" in names:  # in our templates `answer` is the answer's place
            text, inputs["answer_column"] = f"{{% with answer = answer_column %}}{text}{{% endwith %}}", "answer"
        return f"{text}{delimiter}{{{{ answer }}}}", inputs

    def target(self) -> str:
        target = self.data["doc_to_target"]
        if isinstance(target, int) and not isinstance(target, bool):
            return f"{{{{ {target} }}}}"
        if not isinstance(target, str):
            raise self.refused("doc_to_target", repr(target))
        return target

    def choices(self, inputs: dict[str, Any]) -> dict[str, Any]:
        given = self.data.get("doc_to_choice")
        if isinstance(given, list) and all(isinstance(choice, str) for choice in given):
            return {"kind": "classification", "labels": {choice: [i, choice] for i, choice in enumerate(given)}, "fields": inputs}
        if not isinstance(given, str):
            raise self.refused("doc_to_choice", repr(given))
        return {"kind": "choice", "fields": {**inputs, "choices": self.choice_field(given)}}

    def choice_field(self, given: str) -> str | list[str]:
        if not is_jinja(given):
            return given
        inner = re.fullmatch(r"\{\{-?\s*(.*?)\s*-?\}\}", given, re.DOTALL)
        if inner is None or "{{" in inner[1]:
            raise self.refused("doc_to_choice", repr(given))
        if re.fullmatch(r"[\w.]+", inner[1]):
            return inner[1]
        columns = re.fullmatch(r"\[\s*([\w.]+(?:\s*,\s*[\w.]+)+)\s*\]", inner[1])
        if columns:
            return [column.strip() for column in columns[1].split(",")]
        return f"{{% for c in ({inner[1]}) %}}{{{{ c }}}}{{% if not loop.last %}}|||{{% endif %}}{{% endfor %}}"

    def generation(self) -> dict[str, Any]:
        if "doc_to_choice" in self.data:
            raise self.refused("doc_to_choice", "with generate_until")
        given = dict(_mapping(self.data.get("generation_kwargs")))
        if given.pop("do_sample", False) or given.pop("temperature", 0):
            raise self.refused("generation_kwargs", "sampling")
        stops = _list(given.pop("until", self.data.get("fewshot_delimiter", "\n\n")))
        length = given.pop("max_gen_toks", 256)
        if given:
            raise self.refused("generation_kwargs", next(iter(given)))
        found: dict[str, Any] = {"kind": "generation", "stops": stops, "max_new_tokens": length}
        if "filter_list" in self.data:
            found["answer_filter"] = self.answer_filter()
        return found

    def answer_filter(self) -> str:
        pipelines = self.data["filter_list"]
        if len(pipelines) != 1:
            raise self.refused("filter_list", f"{len(pipelines)} pipelines; keep one")
        steps = pipelines[0].get("filter", [])
        names = [step.get("function") for step in steps]
        if names not in (["regex", "take_first"], ["regex"]):
            raise self.refused("filter_list", ", ".join(map(str, names)))
        pattern, select = steps[0].get("regex_pattern", r"#### (\-?[0-9\.\,]+)"), steps[0].get("group_select", 0)
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise self.refused("filter_list", f"{pattern!r}: {error}") from None
        if groups > 1 or select not in (0, -1):
            raise self.refused("filter_list", f"{pattern!r} with group_select {select}")
        # Ours takes the last match; bound to the start of the text there is one match, the first.
        return str(pattern) if select == -1 else rf"\A(?s:.*?)(?:{pattern})" if groups else rf"\A(?s:.*?)({pattern})"

    def metrics(self) -> list[str]:
        found = []
        for i, item in enumerate(_list(self.data.get("metric_list")) or [{"metric": "acc"}]):
            item = item if isinstance(item, Mapping) else {"metric": item}
            name = item.get("metric")
            options = [key for key, value in item.items() if key not in ("metric", "aggregation", "higher_is_better") and value]
            if name not in METRICS or options:
                what = f"{name} {options[0]}" if name in METRICS else str(name)
                raise self.marks.error(
                    ("metric_list", i), f"metric {what} of lm-evaluation-harness is not supported", expected=f"one of {', '.join(METRICS)}"
                )
            found.append(METRICS[name])
        return found

    def check_fewshot(self) -> None:
        config = _mapping(self.data.get("fewshot_config"))
        for key, value in config.items():
            if key not in ("sampler", "split") or (key == "sampler" and value not in ("default", "first_n", "random")):
                raise self.refused("fewshot_config", f"{key}: {value}" if isinstance(value, str) else key)

    def source(self) -> dict[str, Any]:
        path, options = str(self.data["dataset_path"]), dict(_mapping(self.data.get("dataset_kwargs")))
        if path in FORMATS:
            files = options.pop("data_files", None)
            if not isinstance(files, (str, dict)) or options:
                raise self.refused("dataset_kwargs", "only data_files is read")
            return {"files": files if isinstance(files, dict) else {"train": files}}
        revision = options.pop("revision", None)
        if options:
            raise self.refused("dataset_kwargs", next(iter(options)))
        found = {"hub": path, "config": self.data.get("dataset_name"), "revision": revision}
        return {key: value for key, value in found.items() if value is not None}

    def splits(self) -> dict[str, Any]:
        train, validation, test = (self.data.get(f"{name}_split") for name in ("training", "validation", "test"))
        scored = test or validation
        if scored is None:
            raise self.marks.error((), "neither test_split nor validation_split is named")
        shots = self.data.get("fewshot_split") or _mapping(self.data.get("fewshot_config")).get("split") or train or validation
        found: dict[str, Any] = {"pool": [shots] if shots and shots != scored else [], "test": scored}
        if test and validation and validation not in (test, shots):
            found["dev"] = validation
        return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
