"""DAPT: distribution-aware prompt tuning of a CLIP (Cho et al. 2023, arXiv 2309.03406).

Prompts of both towers are trained with cross-entropy and two terms on the geometry of the shared space: class texts are pushed apart
(eq. 5: mean over pairs of classes of exp(-t ||w_i - w_j||^2), t = 2), and images are pulled to their class's prototype (eq. 6: mean squared
error between an image's feature and the mean feature of its class). Prototypes are made once, before training, of the frozen model's
normalised features of the training images, and are not normalised again (the released code). Nearest neighbour: joint-prompts, which this
is with both weights at 0. Departs from the released code: no augmentation of the training images (scenes lose their labels under crops).
The mean of the squared error is over dimensions too, so its weight means less in a wide space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from harness.methods.class_texts import Scored
from harness.methods.joint_prompts import JointPrompts
from torch import Tensor
from torch.nn import functional

from harness.claims import Arm, Exact, Scores, Shape
from harness.registry import method
from harness.settings import log_uniform, setting
from harness.task import Row, TaskData

if TYPE_CHECKING:
    pass


def spread_potential(texts: Tensor, t: float = 2.0) -> Tensor:
    """[] mean over pairs of the rows of [C, width] of exp(-t ||w_i - w_j||^2): smallest where they stand as far apart as they can (eq. 5).

    Of fewer than two rows it is 0: there is no pair.
    """
    if len(texts) < 2:
        return texts.new_zeros(())
    return torch.exp(-t * torch.pdist(texts.float()).square()).mean()


def prototypes(model: Scored, rows: Sequence[Row], classes: int) -> Tensor:
    """[classes, width] mean of the frozen model's normalised features of each class's rows; zeros for a class without any."""
    backbone = model.backbone
    with torch.no_grad():
        parts = [backbone.features([backbone.read(row.inputs) for row in rows[i : i + 64]]) for i in range(0, len(rows), 64)]
        features = functional.normalize(torch.cat(parts).float(), dim=-1)
    gold = functional.one_hot(torch.tensor([row.target for row in rows], device=features.device), classes).to(features)
    return gold.T @ features / gold.sum(dim=0)[:, None].clamp(min=1.0)


@method("dapt", paper="arXiv:2309.03406", needs=("class_texts", "patch_prompts"), tags=("vision-language", "soft-prompt"))
class DAPT(JointPrompts):
    """Joint prompts with both terms."""

    text_weight: float = setting(0.1, at_least=0, search=log_uniform(1e-2, 10.0), help="of the term that pushes class texts apart")
    image_weight: float = setting(0.1, at_least=0, search=log_uniform(1e-2, 1e3), help="of the term that pulls images to prototypes")
    t: float = setting(2.0, above=0, help="sharpness of the potential")

    def prepare(self, model: Scored, data: TaskData) -> None:
        model.centres = prototypes(model, data.train, len(data.task.labels))

    def loss(self, model: Scored, rows: Sequence[Row]) -> Tensor:
        images, texts = model.features(rows)
        total = self.cross_entropy(model, images, texts, rows)
        if self.image_weight:
            assert model.centres is not None
            gold = torch.tensor([row.target for row in rows], device=images.device)
            total = total + self.image_weight * functional.mse_loss(images.float(), model.centres[gold])
        return total + self.text_weight * spread_potential(texts, self.t) if self.text_weight else total


_ARM, _TWIN = Arm("dapt", {"text_length": 8, "image_length": 8}), Arm("joint-prompts", {"text_length": 8, "image_length": 8})
_TASKS, _SETTINGS = ("scene-shape", "scene-new-things"), {"budget": {"steps": 80}, "dev": 4, "test_rows": 200}
_STAND_IN = "tests/methods/test_dapt.py::test_the_terms_move_the_geometry_as_the_paper_says"

_APART = Scores(
    "texts-further-apart",
    "class texts stand further apart than with cross-entropy alone",
    arm=_ARM,
    against=_TWIN,
    measure="probe:text-distance",
    relation="better",
    margin=0.02,
    tasks=_TASKS,
    backbone="tiny-clip",
    shots=8,
    settings={**_SETTINGS, "probes": ["text-distance", "image-spread"]},
    stand_in=_STAND_IN,
)

claims = [
    Exact(
        "parameters",
        "16 vectors in each tower of a ViT-B/16 CLIP: 16 x (512 + 768) trained numbers",
        measure="trainable_parameters",
        arm=Arm("dapt"),
        at=Shape("CLIP ViT-B/16", width=512, layers=12, image_width=768),
        equals=Fraction(20480),
    ),
    Exact(
        "without-terms-it-is-joint-prompts",
        "with both weights at 0 it is the joint prompt baseline",
        measure="answer_difference",
        arm=Arm("dapt", {"text_weight": 0.0, "image_weight": 0.0}),
        against=Arm("joint-prompts"),
        family="image_text",
        equals=Fraction(0),
    ),
    Exact(
        "frozen-towers",
        "only prompts train: the towers stay bitwise what they were",
        measure="changed_weights",
        arm=Arm("dapt"),
        family="image_text",
        equals=Fraction(0),
    ),
    _APART,
    replace(
        _APART,
        name="images-closer-together",
        text="images of a class lie closer together than with cross-entropy alone",
        measure="probe:image-spread",
        relation="less",
    ),
    replace(
        _APART,
        name="better-than-joint-prompts",
        text="DAPT is more accurate than the same prompts with cross-entropy alone",
        measure="score",
    ),
]
