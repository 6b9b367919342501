"""The small world in which exact and cost claims are judged: a random model of any family, a task of random words, one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from harness import catalog
from harness.backbones.architectures import architecture_of
from harness.backbones.attention import ATTENTION
from harness.backbones.backbone import Backbone
from harness.backbones.capabilities import EXPECTED
from harness.claims import Arm, Sizes
from harness.costs import Meter
from harness.method import Method
from harness.registry import Entry, method_kind
from harness.seeds import Streams
from harness.selection import Selection
from harness.task import GeneratedTask, Row, Shots, TaskData, draw
from harness.templates import Template
from harness.training import Budget, Run

from . import clips, graphs, pictures

WORDS = ("cat", "dog", "red", "blue", "house", "tree", "water", "bread", "good", "bad", "small", "big", "it", "was", ".", "yes", "no")
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


class RandomWords(GeneratedTask):
    """Two classes that mean nothing, over texts of `words` words (0: of two to six)."""

    pool_size, test_size = 60, 12
    labels = ("no", "yes")
    templates = {"plain": Template("{{ text }} it was {{ answer }}", answers={"no": "bad", "yes": "good"})}
    entry = Entry("task", "random-words")
    words: int = 0

    def generate(self, rng: np.random.Generator, split: str) -> Iterator[Row]:
        number = 0
        while True:
            length = self.words or int(rng.integers(2, 7))
            number += 1
            yield Row(f"{split}-{number}", {"text": " ".join(str(word) for word in rng.choice(WORDS[:12], size=length))}, number % 2)


def tokenizer_of(family: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate((*SPECIAL, *WORDS))}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if family == "masked_lm":
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
        )
    if family == "encoder_decoder":
        made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 3)])
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token", "mask_token"), SPECIAL))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


@lru_cache(maxsize=4)
def random_backbone(sizes: Sizes) -> Backbone:
    """A random model of these sizes, drawn from one seed; large initial weights, so that what is injected shows in the answers."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    tokens = len(SPECIAL) + len(WORDS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any
        if sizes.family == "masked_lm":
            shape: dict[str, Any] = {"hidden_size": sizes.width, "num_hidden_layers": sizes.layers, "num_attention_heads": 2}
            config: Any = BertConfig(
                vocab_size=tokens, intermediate_size=4 * sizes.width, max_position_embeddings=512, initializer_range=0.2, **shape
            )
            model = BertForMaskedLM(config)
        elif sizes.family == "causal_lm":
            config = GPT2Config(
                vocab_size=tokens, n_embd=sizes.width, n_layer=sizes.layers, n_head=2, n_positions=512, initializer_range=0.2
            )
            model = GPT2LMHeadModel(config)
        else:
            shape = {"d_model": sizes.width, "num_layers": sizes.layers, "num_decoder_layers": sizes.layers, "num_heads": 2}
            special: dict[str, Any] = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 3}
            config = T5Config(vocab_size=tokens, d_ff=4 * sizes.width, d_kv=sizes.width // 2, **shape, **special)
            model = T5ForConditionalGeneration(config)
    model.set_attn_implementation(ATTENTION)
    return Backbone(
        name=f"random-{sizes.family}",
        family=sizes.family,
        model=model.eval(),
        tokenizer=tokenizer_of(sizes.family),
        architecture=architecture_of(model.config),
        max_length=512,
        capabilities=EXPECTED[sizes.family],
    )


WORLDS: dict[str, tuple[Callable[[Sizes], Any], Callable[[], GeneratedTask]]] = {
    "vision_transformer": (pictures.random_backbone, pictures.RandomPictures),
    "image_text": (clips.random_backbone, pictures.RandomPictures),
    "graph": (graphs.random_backbone, graphs.RandomGraphs),
}
"""Of families that do not read text: how to draw a random model of given sizes, and a task for it."""


def small_config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` over the method's small settings; of a wrapper also over those of the method within."""
    cls = catalog.load(method_kind(config), name)
    found = {**cls.small, **config}
    if "over" in found:
        ((inner, inside),) = ({found["over"]: {}} if isinstance(found["over"], str) else found["over"]).items()
        found["over"] = {inner: small_config(inner, inside or {})}
    return found


def selection_of(arm: Arm) -> Selection | None:
    if arm.selection is None:
        return None
    made: Selection = catalog.load("selection", arm.selection["name"])(**{k: v for k, v in arm.selection.items() if k != "name"})
    return made


class Bench:
    """One arm on a random backbone: `adapt` gives its predictor, `run` what the run noted."""

    backbone: Any
    task: GeneratedTask

    def __init__(self, arm: Arm, sizes: Sizes, task: GeneratedTask | None = None) -> None:
        self.method: Method = catalog.load(method_kind(arm.config), arm.method)(**small_config(arm.method, arm.config))
        self.selection = selection_of(arm)
        world = WORLDS.get(sizes.family)
        self.backbone = world[0](sizes) if world else random_backbone(sizes)
        self.task = task or (world[1]() if world else RandomWords())

    def data(self, *, per_class: int = 4) -> TaskData:
        return draw(self.task, Streams({"data": 0}).rng("data", self.task.name), train=Shots(per_class=per_class), dev=Shots(0))

    def new_run(self, budget: Budget | None = None) -> Run:
        """A run of seed 0 whose meter the backbone tells."""
        streams = Streams({name: 0 for name in ("data", "demos", "init", "order", "noise")})
        run = Run(streams, meter=Meter(), budget=budget, selection=self.selection)
        self.backbone.meter = run.meter
        return run
