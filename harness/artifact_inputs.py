"""Where finished artifacts are, for what is made from them: a trial's backbone and settings, an artifact's inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts import Artifact, Product, kind_of, reference_key, references
from harness.errors import InputError
from harness.identity import canonical

if TYPE_CHECKING:
    import torch

    from harness.task import TaskData
    from harness.training import Run
    from harness.trial import Trial

TENSORS, FACTS, MODEL = "product.safetensors", "product.json", "model"
Folders = Mapping[str, Path]
"""Folder of a finished artifact by `reference_key`."""


def artifact_folder(root: Path, artifact_id: str, run_key: str) -> Path:
    return root / "artifacts" / artifact_id[:2] / artifact_id / run_key


def folders_of(root: str | Path, depends_on: Mapping[str, Any]) -> dict[str, Path]:
    """The artifacts behind an answer with these facts, in the store at `root`."""
    return {name: artifact_folder(Path(root), *where) for name, where in depends_on.get("artifacts", {}).items()}


def local(spec: Mapping[str, Any], folders: Folders) -> Mapping[str, Any]:
    """A backbone's spec that can be loaded: where a recipe made it, its folder."""
    if kind_of(spec) != "recipe":
        return spec
    step = spec.get("step")
    place = _found(next(references(spec)), folders) / (MODEL if step is None else f"step-{step}")
    rest = {key: spec[key] for key in ("dtype", "max_length") if spec.get(key) is not None}
    return {"folder": str(place), **rest}


def _found(reference: Mapping[str, Any], folders: Folders) -> Path:
    folder = folders.get(reference_key(reference))
    if folder is None:
        raise InputError(
            f"{kind_of(reference)} {reference.get(kind_of(reference) or '')!r} was not made for this", expected="run it in a plan"
        )
    return folder


def prepared(reference: Mapping[str, Any], folders: Folders) -> Product:
    """What the preparation that `reference` names has given."""
    return read_product(_found(reference, folders))


def write_product(product: Product, folder: Path) -> None:
    from safetensors.torch import save_file

    if product.tensors:
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in product.tensors.items()}, folder / TENSORS)
    (folder / FACTS).write_text(canonical(product.facts) + "\n", encoding="utf-8")


def read_product(folder: Path) -> Product:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / TENSORS) if (folder / TENSORS).exists() else {}
        return Product(tensors, json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"cannot be read: {' '.join(str(error).split())[:120]}", file=folder, expected="run the suite again") from None


@dataclass(frozen=True)
class Adapted:
    """A finished trial and what is stored of its adapted model (`Predictor.state`)."""

    trial: Trial
    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]


@dataclass
class Given:
    """An artifact's inputs, ready to be used; each is had by its place in `Inputs`."""

    artifact: Artifact
    run: Run
    folders: Folders
    trials: tuple[Path, ...] = ()
    trust: tuple[str, ...] = ()

    def data(self, number: int = 0) -> TaskData:
        """Rows drawn from a source's pool by the artifact's `data` stream. There are no test rows in it."""
        from dataclasses import replace

        from harness import catalog
        from harness.task import Shots, draw

        item = self.artifact.inputs.tasks[number]
        task = catalog.load("task", item.task)(**item.task_config)
        rng = self.run.rng("data", task.name)
        return replace(draw(task, rng, train=Shots.parse(item.train, "train"), dev=Shots.parse(item.dev, "dev")), test=())

    def backbone(self, number: int = 0) -> Any:
        """The loaded backbone; its meter is the run's."""
        from harness.backbones.load import load

        spec = local(self.artifact.inputs.backbones[number], self.folders)
        backbone = load(spec, device=str(self.run.device), trust_remote_code=self.trust)
        backbone.meter = self.run.meter
        return backbone

    def adapted(self, number: int = 0) -> Adapted:
        """What a source trial's training left."""
        from harness.method import load

        return Adapted(self.artifact.inputs.trials[number], *load(self.trials[number] / "adapted"))

    def prepared(self, number: int = 0) -> Product:
        return prepared(self.artifact.inputs.artifacts[number], self.folders)
