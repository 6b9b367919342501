"""A recipe and a preparation that leave a mark whenever they run, and methods that start from them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from harness.artifact_inputs import Given
from harness.artifacts import Inputs, Preparation, Product, Recipe, TaskInput, source_trial
from harness.method import Method, Predictor
from harness.registry import method, preparation, recipe
from harness.settings import Prepared, choice, setting
from harness.task import TaskData

from .engine_methods import Constant

MARKS = "HARNESS_TEST_MARKS"  # names a folder; a file in it for each run


def mark(text: str) -> None:
    folder = Path(os.environ[MARKS])
    (folder / f"{text} {time.monotonic_ns()}").touch()


@recipe("counting-recipe", tags=("test",))
class CountingRecipe(Recipe):
    """A random BERT whose weights are shifted a little at every step; a killed run goes on at the step it had reached."""

    family = "masked_lm"
    steps: int = setting(4, at_least=1)
    scale: float = setting(0.2, above=0)
    seconds: float = setting(0.0, at_least=0, help="of every step")
    fails: bool = setting(False)

    def last_step(self) -> int | None:
        return self.steps

    def build(self, given: Given, run: Any, out: Path, checkpoints: Sequence[int]) -> None:
        from harness.methods.pretraining import fast_tokenizer
        from harness.tasks.world import tokenizer
        from transformers import BertConfig, BertForMaskedLM

        mark("build")
        if self.fails:
            raise RuntimeError("no luck with this recipe")
        shape = {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 256,
        }
        torch.manual_seed(run.streams.integer("init"))
        model = BertForMaskedLM(BertConfig(vocab_size=tokenizer.SIZE, initializer_range=self.scale, **shape))
        state = out / "done"
        start = int(state.read_text()) if state.exists() else 0
        for step in range(1, self.steps + 1):
            with torch.no_grad():
                model.bert.encoder.layer[0].output.dense.bias.add_(0.1)
            if step <= start:
                continue
            mark("step")
            time.sleep(self.seconds)
            run.check_time()
            if step in checkpoints:
                save(model, fast_tokenizer("masked"), out / f"step-{step}")
            state.write_text(str(step))
            run.curve.add(step, 1.0 / step, None, 0.0)
            run.steps_done += 1
        save(model, fast_tokenizer("masked"), out / "model")
        for step in checkpoints:
            assert (out / f"step-{step}").is_dir()


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@recipe("merging-recipe", tags=("test",))
class MergingRecipe(Recipe):
    """Made from another recipe's product and from what trials on its sources left."""

    family = "masked_lm"
    sources: list = setting([])
    others: bool = setting(False, help="leave the target out of the sources")

    def facing(self, task: str) -> MergingRecipe:
        return MergingRecipe(sources=[name for name in self.sources if name != task]) if self.others else self

    def inputs(self, backbone: Mapping[str, Any] | None, seed: int) -> Inputs:
        base = {"recipe": "counting-recipe", "config": CountingRecipe(steps=2).config, "seed": 0}
        trials = tuple(source_trial(name, backbone=base, method="bitfit", config=bitfit(), train=2, seed=seed) for name in self.sources)
        return Inputs(backbones=(base,), trials=trials)

    def build(self, given: Given, run: Any, out: Path, checkpoints: Sequence[int]) -> None:
        mark("merge")
        backbone = given.backbone()
        fork = backbone.fork(copy_weights=True)
        found = [given.adapted(number).tensors for number in range(len(given.trials))]
        run.notes["tensors"] = [len(tensors) for tensors in found]
        save(fork.model, fork.tokenizer, out / "model")


def bitfit() -> dict[str, Any]:
    from harness import catalog

    config: dict[str, Any] = catalog.load("method", "bitfit")(steps=2).config
    return config


@preparation("word-counts", tags=("test",))
class WordCounts(Preparation):
    """How often each class stands in the rows of its sources."""

    sources: list = setting(["word-parity"])
    rows: int = setting(4, at_least=1)

    def inputs(self, backbone: Mapping[str, Any] | None, seed: int) -> Inputs:
        assert backbone is not None
        return Inputs(tasks=tuple(TaskInput(name, train=self.rows) for name in self.sources), backbones=(backbone,))

    def prepare(self, given: Given, run: Any) -> Product:
        mark("prepare")
        data = [given.data(number) for number in range(len(self.sources))]
        assert all(not part.test for part in data)
        targets = torch.tensor([float(row.target) for part in data for row in part.train])
        return Product({"targets": targets, "width": torch.tensor(given.backbone().width)}, {"sources": list(self.sources)})


@method("starts-from", tags=("test",))
class StartsFrom(Method):
    """Answers by the mean target of what was prepared."""

    uses_template: ClassVar[bool] = False
    random: ClassVar[tuple[str, ...]] = ()
    start: Prepared | None = setting(None)

    def unsupported(self, task: Any, family: str, capabilities: frozenset[str]) -> str | None:
        return "starts-from needs `start`" if self.start is None else super().unsupported(task, family, capabilities)

    def adapt(self, backbone: Any, data: TaskData, run: Any) -> Predictor:
        assert self.start is not None
        found = run.prepared(self.start)
        return Constant([float(found.tensors["targets"].mean()), 0.0], dict(found.facts))

    def restore(self, backbone: Any, data: TaskData, run: Any, tensors: Any, facts: Any) -> Predictor:
        return self.adapt(backbone, data, run)


@method("leans", tags=("test",))
class Leans(StartsFrom):
    """The same with something to tune."""

    lean: float = setting(0.5, search=choice(-1.0, 1.0))
