"""The contract of a method: `adapt(backbone, data, run) -> Predictor`, and a Predictor that saves and loads."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import InputError
from harness.identity import canonical
from harness.predictions import Predictions
from harness.registry import Entry
from harness.settings import Configurable, Search
from harness.task import Example, Task, TaskData

if TYPE_CHECKING:
    import torch

    from harness.training import Run

LARGEST_SMALL = 4_000_000  # bytes of an adaptation that `--keep small` still keeps


class Predictor:
    """An adapted model. It answers examples, which carry no gold; `state` is all that must be stored of it."""

    @abstractmethod
    def predict(self, examples: Sequence[Example]) -> Predictions:
        raise NotImplementedError

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and JSON-able facts from which `Method.restore` rebuilds this predictor with the same predictions."""
        return {}, {}


class Stateful(Predictor):
    """A predictor that answers change (test-time adaptation, edits). Its `state` in the middle of a course restores it there."""

    @abstractmethod
    def reset(self) -> None:
        """Back to where `adapt` left it, bit for bit."""
        raise NotImplementedError


class Method(Configurable):
    """Base of all methods. `backbone` is a `Pretrained` of a family that offers what the entry `needs`: a text `Backbone`, say.

    task_kinds : kinds of task it can do.  random : streams its answer depends on (empty: deterministic).
    frozen_backbone : the backbone stays bitwise unchanged.  identity_at_start : before training it predicts as the backbone does.
    emits : events that a wrapper may answer (those of the base; `emits=` in the decorator adds to them), see hooks.py.
    small : settings under which the generic test matrix runs it.
    """

    entry: ClassVar[Entry]
    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "choice")
    protocols: ClassVar[tuple[str, ...]] = ("supervised",)
    random: ClassVar[tuple[str, ...]] = ("data", "init", "order")
    frozen_backbone: ClassVar[bool] = True
    identity_at_start: ClassVar[bool] = False
    uses_template: ClassVar[bool] = True
    emits: ClassVar[tuple[str, ...]] = ("predict",)
    small: ClassVar[Mapping[str, Any]] = {}

    @property
    def name(self) -> str:
        return self.entry.name

    def unsupported(self, task: Task, family: str, capabilities: frozenset[str]) -> str | None:
        """Why this method cannot do `task` with such a backbone, or None. Known from declarations, before anything is loaded."""
        if task.protocol not in self.protocols:
            return f"{self.name} has no {task.protocol} protocol"
        if task.kind not in self.task_kinds:
            return f"{self.name} does {', '.join(self.task_kinds)}, not {task.kind}"
        if task.kind == "generation" and "generation" not in capabilities:
            return f"generated answers need generation, which a {family} backbone does not offer"
        missing = [need for need in self.entry.needs if need not in capabilities]
        return f"{self.name} needs {', '.join(missing)}, which a {family} backbone does not offer" if missing else None

    @property
    def emitted(self) -> frozenset[str]:
        """The events of its training that wrappers and selections may answer."""
        return frozenset((*self.emits, *self.entry.emits))

    def open_space(self, given: Mapping[str, Any]) -> dict[str, Search]:
        """What `tune: N` draws from: the search space without what a suite has set (`given`)."""
        return {name: search for name, search in type(self).search_space().items() if name not in given}

    def sources(self) -> tuple[type, ...]:
        """Classes whose source its answers depend on."""
        return (type(self),)

    @abstractmethod
    def adapt(self, backbone: Any, data: TaskData, run: Run) -> Predictor:
        raise NotImplementedError

    @abstractmethod
    def restore(self, backbone: Any, data: TaskData, run: Run, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Predictor:
        """The predictor that `state` described; `data` holds the task, its rows only where the method needs them."""
        raise NotImplementedError

    def trainable_parameters(self, backbone: Any, task: Task) -> int:
        """Formula for the trained numbers of prompt or adapter, without head."""
        return 0

    def head_parameters(self, backbone: Any, task: Task) -> int:
        return 0


def save(predictor: Predictor, folder: Path) -> int:
    """Write a predictor's state (safetensors + JSON) into `folder`; returns its bytes."""
    from safetensors.torch import save_file

    tensors, facts = predictor.state()
    folder.mkdir(parents=True, exist_ok=True)
    if tensors:
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, folder / "adapted.safetensors")
    (folder / "adapted.json").write_text(canonical(facts) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in folder.iterdir())


def load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `save` wrote; InputError naming the file if it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / "adapted.json").read_text(encoding="utf-8"))
        weights = folder / "adapted.safetensors"
        return (load_file(weights) if weights.exists() else {}), facts
    except FileNotFoundError as error:
        raise InputError("no adaptation is stored here", file=error.filename, expected="run again with --keep small or all") from None
    except (SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"damaged: {error}", file=folder) from None
