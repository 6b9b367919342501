"""TIME: editing what a text-to-image model assumes, in closed form (Orgad, Kawar, Belinkov 2023, arXiv 2303.08084).

"A ball" shall mean "a blue ball": every key and value projection W of the cross-attentions becomes the minimiser of

    sum_i ||W' c_i - W c*_a(i)||^2 + lambda ||W' - W||_F^2        (eq. 3)
    W' = (lambda W + sum_i W c*_a(i) c_i^T) (lambda I + sum_i c_i c_i^T)^-1        (eq. 4)

where c are the text encoder's states of the source, c* of the destination, and a(i) the place in the destination that stands for source
place i: the same token, taken greedily from the left; after the source's last token (its end mark) the remaining places follow one
another, the last one repeated. Sums run over every place of the padded text and, with `augment`, over the texts with "a photo of" and the
like in front (the released code). Solved in float64. W is put back before each edit. Nearest neighbours: `unedited` (what the model draws
for the source text) and `destination-text` (what it draws when the destination is asked in its place: the most that an edit can reach).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from harness.methods.attention_pictures import sheet
from numpy.typing import NDArray
from torch import Tensor

from harness.claims import Arm, Scores
from harness.errors import InputError
from harness.method import Method, Stateful
from harness.outcome import Media
from harness.predictions import Predictions
from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Example, TaskData

if TYPE_CHECKING:
    from harness.backbones.text_to_image import TextToImage
    from harness.training import Run

SHOWN = 3  # edits on a sheet of pictures
PREFIXES = ("", "a photo of ", "an image of ", "a picture of ")


def aligned(source: Sequence[int], destination: Sequence[int], *, end: int) -> list[int]:
    """For every place of `source` the place of `destination` that stands for it.

    source, destination : token ids, both padded to one length, with one end mark each.
    InputError where the destination lacks a token of the source.
    """
    last, last_of_destination = list(source).index(end), list(destination).index(end)
    places: list[int] = []
    here = 0
    for token in list(source)[:last]:
        while here < last_of_destination and token != destination[here]:
            here += 1
        if here == last_of_destination:
            raise InputError(
                "the destination lacks a word of the source",
                key="destination",
                expected="the source's words, in order, with more between them",
            )
        places.append(here)
        here += 1
    rest = list(range(last_of_destination, len(destination)))
    missing = len(source) - last
    return places + (rest + [len(destination) - 1] * missing)[:missing]


def edited(weight: Tensor, source: Tensor, destination: Tensor, strength: float) -> Tensor:
    """float64 [out, d] the minimiser of eq. 3. weight [out, d]; source, destination [n, d] states that stand for one another."""
    w, c, told = weight.double(), source.double(), destination.double()
    left = strength * w + (w @ told.T) @ c
    gram = strength * torch.eye(c.shape[1], dtype=torch.float64, device=c.device) + c.T @ c
    found: Tensor = torch.linalg.solve(gram, left.T).T
    return found


class Editor(Stateful):
    """A pipeline of its own whose projections an edit may change. `draw` draws with them as they are."""

    def __init__(self, backbone: TextToImage, settings: TimeEdit | None, given: Mapping[str, Tensor] | None = None) -> None:
        self.original = backbone
        self.backbone: TextToImage = backbone.fork(copy_weights=lambda name: ".attn2.to_k." in name or ".attn2.to_v." in name)
        self.settings = settings
        self.instead: dict[str, str] = {}  # texts that are drawn in the place of others
        if given:
            self._put(given)

    def reset(self) -> None:
        self._put({name: module.weight for name, module in self.original.cross_attention().items()})
        self.instead = {}

    def edit(self, example: Example) -> None:
        """Let the source text of the example mean its destination."""
        self.reset()
        if self.settings is None:
            return
        source, destination = str(example.inputs["source"]), str(example.inputs["destination"])
        with torch.no_grad():
            self._put(self.settings.projections(self.backbone, source, destination))

    def draw(self, texts: Sequence[str], numbers: Sequence[int], *, steps: int, guidance: float) -> NDArray[np.uint8]:
        return self.backbone.draw([self.instead.get(text, text) for text in texts], numbers, steps=steps, guidance=guidance)

    def predict(self, examples: Sequence[Example]) -> Predictions:
        raise InputError("edits are asked about by their task", key="protocol", expected="a task with the per_item protocol and an `ask`")

    def pictures(self, examples: Sequence[Example]) -> list[Media]:
        """One sheet of the first edits: the source, a text that is meant too and one that is not, each before and after."""
        if self.settings is None:
            return []
        chosen = list(examples[:SHOWN])
        asked = [(e, [str(e.inputs["source"]), str(e.inputs["positives"][-1]), str(e.inputs["negatives"][0][0])]) for e in chosen]
        look = {"steps": 12, "guidance": 3.0}
        before = np.concatenate([self.original.draw(texts, [0] * 3, **look) for _, texts in asked])  # type: ignore[arg-type]
        after = []
        for example, texts in asked:
            self.edit(example)
            after.append(self.backbone.draw(texts, [0] * 3, **look))  # type: ignore[arg-type]
        said = "; ".join(f"{', '.join(texts)} where the first shall mean {example.inputs['destination']}" for example, texts in asked)
        return [Media("edits.png", sheet([("before", before), ("after", np.concatenate(after))]), f"Drawings of {said}.", "edit")]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {name: module.weight.detach() for name, module in self.backbone.cross_attention().items()}, {}

    def _put(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, module in self.backbone.cross_attention().items():
                if name in weights:
                    module.weight.copy_(weights[name])


class Editing(Method):
    """Base of what answers editing tasks."""

    task_kinds: ClassVar[tuple[str, ...]] = ("editing",)
    protocols: ClassVar[tuple[str, ...]] = ("per_item",)
    random: ClassVar[tuple[str, ...]] = ("noise",)
    uses_template: ClassVar[bool] = False

    def adapt(self, backbone: TextToImage, data: TaskData, run: Run) -> Editor:
        return Editor(backbone, None)

    def restore(self, backbone: TextToImage, data: TaskData, run: Run, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Editor:
        made = self.adapt(backbone, data, run)
        made._put(tensors)
        return made


@method("unedited", needs=("denoising",), tags=("diffusion", "baseline"))
class Unedited(Editing):
    """The model as it is."""


class Asked(Editor):
    """Draws the destination where the source, or a text that has the source's noun, is asked for."""

    def edit(self, example: Example) -> None:
        self.reset()
        noun = str(example.inputs["source"]).split()[-1]
        new = [word for word in str(example.inputs["destination"]).split() if word not in str(example.inputs["source"]).split()]
        texts = [str(example.inputs["source"]), *example.inputs["positives"]]
        self.instead = {text: " ".join([*text.split()[:-1], *new, noun]) for text in texts}


@method("destination-text", needs=("denoising",), tags=("diffusion", "baseline"))
class DestinationText(Editing):
    """What is asked for is said in full: the new words stand in every text that is meant. An upper bound, not an edit."""

    def adapt(self, backbone: TextToImage, data: TaskData, run: Run) -> Editor:
        return Asked(backbone, None)


@method("time-edit", paper="arXiv:2303.08084", needs=("denoising",), tags=("diffusion", "editing"))
class TimeEdit(Editing):
    """Closed form; nothing is trained. Of the parameters only the cross-attentions' keys and values change."""

    strength: float = setting(0.1, above=0, search=log_uniform(1e-3, 10.0), help="lambda: how much W is held where it is")
    augment: bool = setting(True, help="also the texts with 'a photo of' and the like in front")
    padding: bool = setting(True, help="sum over the places after the texts' end too, as the released code does")
    edited_part: str = setting("both", one_of=("both", "keys", "values"), search=choice("both", "keys", "values"))

    def adapt(self, backbone: TextToImage, data: TaskData, run: Run) -> Editor:
        total, changed = backbone.parameter_count(), sum(module.weight.numel() for module in self._chosen(backbone).values())
        run.notes["edited_share"] = changed / total
        return Editor(backbone, self)

    def _chosen(self, backbone: TextToImage) -> dict[str, torch.nn.Linear]:
        end = {"both": (".to_k", ".to_v"), "keys": (".to_k",), "values": (".to_v",)}[self.edited_part]
        return {name: module for name, module in backbone.cross_attention().items() if name.endswith(end)}

    def states(self, backbone: TextToImage, source: str, destination: str) -> tuple[Tensor, Tensor]:
        """[n, width] states of the source's places and of those of the destination that stand for them, over all augmentations."""
        prefixes = PREFIXES if self.augment else ("",)
        kept = [prefix for prefix in prefixes if self._fits(backbone, prefix + destination)]
        texts = [(prefix + source, prefix + destination) for prefix in kept]
        ids = [backbone.token_ids(pair).tolist() for pair in texts]
        end = backbone.tokenizer.eos_token_id
        told = [backbone.text_states(pair) for pair in texts]
        lengths = [len(one) if self.padding else one.index(end) + 1 for one, _ in ids]
        places = [aligned(one, other, end=end)[:length] for (one, other), length in zip(ids, lengths)]
        source_states = torch.cat([states[0][:length] for states, length in zip(told, lengths)])
        return source_states, torch.cat([states[1][place] for states, place in zip(told, places)])

    @staticmethod
    def _fits(backbone: TextToImage, text: str) -> bool:
        return len(backbone.tokenizer(text, verbose=False).input_ids) <= backbone.length

    def projections(self, backbone: TextToImage, source: str, destination: str) -> dict[str, Tensor]:
        """The edited weights by name."""
        c, told = self.states(backbone, source, destination)
        return {name: edited(module.weight, c, told, self.strength).to(module.weight) for name, module in self._chosen(backbone).items()}


_EDITS: dict[str, Any] = {"tasks": [{"name": "scene-edits", "config": {"noise_seeds": 1}}], "test_rows": 10}
_STAND_IN = "tests/methods/test_time_edit.py::test_held_without_end_nothing_changes_and_held_loosely_the_source_reads_as_the_destination"

_PADDING = (
    "Investigated (docs/diffusion.md): texts about other things share the states of padded places with the edited one; without those places, or "
    "with a strength of 10, more stays as it was"
)

claims = [
    Scores(
        f"{metric}-{relation.replace('_', '-')}",
        text,
        arm=Arm("time-edit"),
        against=Arm("unedited"),
        measure=f"metric:{metric}",
        relation=relation,  # type: ignore[arg-type]
        margin=margin,
        tasks=("scene-edits",),
        backbone="tiny-diffusion",
        shots=0,
        settings=_EDITS,
        stand_in=_STAND_IN,
        investigated=investigated,
    )
    for metric, relation, margin, text, investigated in (
        ("efficacy", "better", 0.1, "the source text is drawn as the destination more often than before the edit", None),
        ("generality", "better", 0.1, "so are other texts about the same thing", None),
        ("specificity", "not_worse", 0.1, "texts that are not meant are drawn as before", _PADDING),
    )
]
