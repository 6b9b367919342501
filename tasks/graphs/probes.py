"""Probes of prompted graphs: how many nodes are prompted, how strongly, and whether these are the ones that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.method import Predictor
from harness.probe import Measured, Probe
from harness.registry import probe
from harness.settings import setting
from harness.task import TaskData

if TYPE_CHECKING:
    from harness.training import Run

NO_CHOICE = "it chooses no nodes"


class NodeProbe(Probe):
    """Base: asks a predictor that offers `chosen` and `added` (see harness.methods.graph_pictures) about test graphs."""

    examples: int = setting(400, at_least=1, help="test graphs that are looked at, the first ones")


@probe("motif-lift", tags=("graph",))
class MotifLift(NodeProbe):
    """The share of a policy's choices that fall on the nodes which the task's question is about, less the share of these nodes in the
    graph: 0 where choices are blind, as GPF's are, which takes every node. A mean over test graphs."""

    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        asked: Any = getattr(data.task, "oracle_nodes", None)
        if asked is None or not hasattr(predictor, "chosen"):
            return Measured(None, NO_CHOICE if asked is not None else f"{data.task.name} does not say which nodes matter")
        examples = [row.example for row in data.test[: self.examples]]
        masks = [asked(example.id) for example in examples]
        lifts = [counts[mask].sum() / counts.sum() - mask.mean() for counts, mask in zip(predictor.chosen(examples), masks)]
        return Measured(float(np.mean(lifts)), parts={"motif_nodes": float(np.mean([mask.mean() for mask in masks]))})


@probe("prompted-nodes", paper="arXiv:2408.03195", tags=("graph",))
class PromptedNodes(NodeProbe):
    """Share of a test graph's nodes that get a prompt; GPF's is 1. `norm`: the mean length of what a prompted node gets."""

    def measure(self, predictor: Predictor, backbone: Any, data: TaskData, run: Run) -> Measured:
        if not hasattr(predictor, "added"):
            return Measured(None, NO_CHOICE)
        added = predictor.added([row.example for row in data.test[: self.examples]])
        lengths = [vectors.detach().norm(dim=1).cpu().numpy() for vectors in added]
        touched = np.concatenate(lengths)
        norm = float(touched[touched > 0].mean()) if (touched > 0).any() else 0.0
        return Measured(float(np.mean([(length > 0).mean() for length in lengths])), parts={"norm": norm})
