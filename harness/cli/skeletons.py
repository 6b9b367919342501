"""The texts that `harness new` writes. NAME, CLASS and FILE are filled in; LOCATE finds files outside the harness's own folders."""

METHOD = '''"""CLASS: say in one line what is new about it (and the paper: arXiv number).

What is trained, with its formula; as a start, a narrow hidden layer on the frozen backbone's features.
Nearest neighbours: linear-probe (no hidden layer). Departs from the paper: say where, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.backbones.backbone import Backbone
from harness.gradient import dev_score
from harness.method import Method, Predictor
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, Row, Task, TaskData
from harness.text import in_batches, label_predictions, plain_text
from harness.training import Run


@method("NAME", needs=("features",), tags=("text",))
class CLASS(Method):
    """A narrow hidden layer on frozen features."""

    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    uses_template: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Any]] = {"steps": 5}  # what the generic tests run it with

    rank: int = setting(16, at_least=1, search=choice(8, 16, 32))
    learning_rate: float = setting(1e-2, above=0, search=log_uniform(1e-3, 1e-1))
    steps: int = setting(200, at_least=1)
    batch_size: int = setting(16, at_least=1)

    def adapt(self, backbone: Backbone, data: TaskData, run: Run) -> Predictor:
        predictor = self._start(backbone, data.task, run)

        def loss(rows: list[Row]) -> Tensor:
            return functional.cross_entropy(predictor.scores(rows), torch.tensor([row.target for row in rows], device=backbone.device))

        groups = [{"params": list(predictor.network.parameters()), "lr": self.learning_rate}]
        dev = (lambda: dev_score(predictor, data)) if data.dev else None
        run.fit(loss, groups, data.train, batch_size=self.batch_size, steps=self.steps, evaluate=dev)
        return predictor

    def restore(self, backbone: Backbone, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Predictor:
        predictor = self._start(backbone, data.task, run)
        predictor.network.load_state_dict(dict(tensors))
        return predictor

    def _start(self, backbone: Backbone, task: Task, run: Run) -> CLASSPredictor:
        network = nn.Sequential(nn.Linear(backbone.width, self.rank), nn.Tanh(), nn.Linear(self.rank, len(task.labels)))
        generator = run.generator("init")  # draws on the CPU, so that devices and repetitions agree
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.1, generator=generator)
        return CLASSPredictor(backbone, network.to(backbone.device))

    def head_parameters(self, backbone: Backbone, task: Task) -> int:
        return self.rank * (backbone.width + len(task.labels)) + self.rank + len(task.labels)


class CLASSPredictor(Predictor):
    def __init__(self, backbone: Backbone, network: nn.Module) -> None:
        self.backbone, self.network = backbone, network  # network: features [B, width] -> label scores [B, C]

    def scores(self, items: Sequence[Row | Example]) -> Tensor:
        with torch.no_grad():
            features = self.backbone.features([plain_text(item.inputs) for item in items])  # type: ignore[arg-type]
        return torch.log_softmax(self.network(features.float()), dim=-1)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        return label_predictions(examples, in_batches(examples, self.scores))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return dict(self.network.state_dict()), {}
'''

METHOD_TEST = '''"""NAME learns an easy task, repeats by its seed, comes back from what it saved, and counts its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from harness import catalog
from harness.method import load, save
from harness.predictions import Predictions
from harness.registry import Entry
from harness.seeds import Streams
from harness.task import Row, Shots, Task, TaskData, draw
from harness.training import Run
LOCATE

class Words:
    """A backbone in miniature: the feature of a text is the mean of fixed random vectors of its words, [B, width]."""

    width = 32
    device = torch.device("cpu")

    def features(self, texts: Sequence[str], **options: Any) -> torch.Tensor:
        return torch.stack([torch.stack([self.vector(word) for word in text.split()]).mean(dim=0) for text in texts])

    def vector(self, word: str) -> torch.Tensor:
        return torch.randn(self.width, generator=torch.Generator().manual_seed(sum(map(ord, word))))


class Easy(Task):
    """Is the thing good or bad?"""

    entry: ClassVar[Entry] = Entry("task", "easy")
    labels = ("bad", "good")

    def rows(self, numbers: range) -> list[Row]:
        words = [("poor", "dull", "awful"), ("fine", "great", "lovely")]
        return [Row(str(i), {"text": f"item {i} is {words[i % 2][i % 3]}"}, i % 2) for i in numbers]

    def pool(self) -> list[Row]:
        return self.rows(range(100))

    def test(self) -> list[Row]:
        return self.rows(range(100, 140))


@pytest.fixture
def data() -> TaskData:
    return draw(Easy(), np.random.default_rng(0), train=Shots(per_class=8), dev=Shots(per_class=4))


def adapted(data: TaskData, seed: int = 0) -> Any:
    return catalog.load("method", "NAME")().adapt(Words(), data, Run(Streams({"init": seed, "order": seed})))


def answers(predictor: Any, data: TaskData) -> Predictions:
    result: Predictions = predictor.predict([row.example for row in data.test])
    return result


def test_it_learns_an_easy_task(data: TaskData) -> None:
    right = answers(adapted(data), data).classes == [row.target for row in data.test]
    assert right.mean() > 0.9


def test_one_seed_repeats_and_two_differ(data: TaskData) -> None:
    first, again, other = (answers(adapted(data, seed), data).scores for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_was_saved_predicts_the_same(data: TaskData, tmp_path: Any) -> None:
    predictor = adapted(data)
    save(predictor, tmp_path)
    restored = catalog.load("method", "NAME")().restore(Words(), data, Run(Streams({})), *load(tmp_path))
    assert np.array_equal(answers(restored, data).scores, answers(predictor, data).scores)


def test_the_formula_counts_what_is_stored(data: TaskData) -> None:
    tensors, _ = adapted(data).state()
    made = catalog.load("method", "NAME")()
    counted = made.trainable_parameters(Words(), data.task) + made.head_parameters(Words(), data.task)
    assert counted == sum(tensor.numel() for tensor in tensors.values())
'''

TASK_YAML = """# Every field: docs/add-a-task.md. `harness show NAME` shows what was read.
task: NAME
summary: Say in one line what is asked.
tags: [text]
version: 1  # raise it whenever rows, labels or templates change
source:
  files: {train: FILE.jsonl}  # or: hub: ORGANISATION/DATASET, with a revision
splits: {pool: train, test: [], carve_test: 12}  # or the names of published splits
fields: {sentence: text}  # name in templates: column in the file
target: label
labels: [negative, positive]  # in the order of their numbers
templates:
  it-was:
    text: "{{ sentence }} It was {{ answer }}."
    answers: {negative: bad, positive: good}
  review:
    text: "Review: {{ sentence }} Verdict: {{ answer }}"
    answers: {negative: negative, positive: positive}
metrics: [accuracy]
"""

TASK_PYTHON = '''"""NAME: say in one line what is asked.

How rows are made, where the idea was published, and what makes it hard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from harness.registry import task
from harness.task import GeneratedTask, Row
from harness.templates import Template

THINGS = ("soup", "room", "film", "song", "train", "garden", "lecture", "game", "book", "view", "walk", "play")
WORDS = (("dull", "awful", "boring", "poor"), ("lovely", "superb", "charming", "fine"))


@task("NAME", tags=("text", "generated"))
class CLASS(GeneratedTask):
    """Was the thing liked?"""

    version = 1  # raise it whenever rows, labels or templates change
    labels = ("negative", "positive")
    floor = 0.5
    templates: Mapping[str, Template] = {
        "it-was": Template("{{ sentence }} It was {{ answer }}.", answers={"negative": "bad", "positive": "good"}),
        "review": Template("Review: {{ sentence }} Verdict: {{ answer }}", answers={"negative": "negative", "positive": "positive"}),
    }
    pool_size = 400
    test_size = 100

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        """Rows without end; those that were there before are skipped by the caller."""
        for number in range(1_000_000):
            target = int(rng.integers(2))
            first, second = rng.choice(THINGS, size=2, replace=False)
            one, other = rng.choice(WORDS[target], size=2, replace=False)
            yield Row(f"{split}-{number}", {"sentence": f"The {first} was {one} and the {second} was {other}."}, target)
'''

TASK_TEST = '''"""NAME: its splits are disjoint, one seed repeats, every label occurs, every template renders."""

from __future__ import annotations

import numpy as np

from harness import catalog
from harness.task import Shots, TaskData, draw
LOCATE

def drawn(seed: int) -> TaskData:
    return draw(catalog.load("task", "NAME")(), np.random.default_rng(seed), train=Shots(per_class=4), dev=Shots(per_class=2))


def test_splits_share_no_content() -> None:
    data = drawn(0)
    train, dev, test = ({row.content for row in rows} for rows in (data.train, data.dev, data.test))
    assert not train & dev and not train & test and not dev & test


def test_one_seed_repeats_and_test_does_not_depend_on_it() -> None:
    assert drawn(0).digests == drawn(0).digests
    assert drawn(0).digests["train"] != drawn(1).digests["train"]
    assert drawn(0).digests["test"] == drawn(1).digests["test"]


def test_every_label_occurs_in_test() -> None:
    data = drawn(0)
    assert {row.target for row in data.test} == set(range(len(data.task.labels)))


def test_every_template_renders() -> None:
    data = drawn(0)
    for template in data.task.templates.values():
        rendered = template.render(data.test[0].inputs, data.task.labels)
        assert rendered.before and rendered.answers is not None and len(rendered.answers) == len(data.task.labels)
'''

LOCATE = """
catalog.use(Path(__file__).with_name("FILE"))
"""


def example_rows() -> list[dict[str, str]]:
    """The rows of a new YAML task: enough to draw 4 + 2 of each class and to carve a test split."""
    things = ("soup", "room", "film", "song", "train", "garden", "lecture", "game", "book", "view")
    words = {"negative": ("dull", "awful"), "positive": ("lovely", "superb")}
    return [{"text": f"The {thing} was {word}.", "label": label} for thing in things for label, pair in words.items() for word in pair]
