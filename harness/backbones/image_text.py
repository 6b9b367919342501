"""Dual encoders of images and texts (CLIP): features of both in one space, and scores of images against class texts.

Prompts are vectors among a tower's own tokens: in front of a text after its start mark (CoOp), and in front of an image's patches after
its class token and first norm (VPT on CLIP). The towers are transformers' own modules, called one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.backbones import files
from harness.backbones.capabilities import EXPECTED
from harness.backbones.describe import BackboneInfo
from harness.backbones.pixels import Pixels, picture
from harness.backbones.pretrained import Pretrained
from harness.errors import InputError

Picture = NDArray[np.uint8]
LEGACY_END = 2  # CLIP's first configurations name this wrong id; their end mark is the highest id of a text


@dataclass(frozen=True)
class TowerPrompts:
    """Vectors among the tokens of each tower: text [n, text_width] before every text, image [m, image_width] before every image's patches."""

    text: Tensor | None = None
    image: Tensor | None = None


class ImageText(Pretrained):
    """One loaded CLIP. width : of the shared space.  text_width, image_width : of the towers' tokens.  length : tokens of a text at most."""

    def __init__(self, *, name: str, model: Any, tokenizer: Any, pixels: Pixels, identity: dict[str, Any] | None = None) -> None:
        super().__init__(name=name, family="image_text", model=model, capabilities=EXPECTED["image_text"], identity=identity)
        self.tokenizer, self.pixels = tokenizer, pixels
        config = model.config
        self.width: int = config.projection_dim
        self.text_width: int = config.text_config.hidden_size
        self.image_width: int = config.vision_config.hidden_size
        self.patch: int = config.vision_config.patch_size
        self.length: int = config.text_config.max_position_embeddings

    def read(self, inputs: Mapping[str, Any]) -> Picture:
        return picture(inputs)

    def features(self, items: Sequence[Picture], *, pooling: Any = None, injection: TowerPrompts | None = None) -> Tensor:
        """float [B, width] of images, before normalisation, differentiable."""
        tower = self.model.vision_model
        pixels = self.pixels(items, self.device).to(next(self.model.parameters()).dtype)
        states = tower.pre_layrnorm(tower.embeddings(pixels))
        if injection is not None and injection.image is not None:
            prompts = injection.image.to(states).expand(len(items), -1, -1)
            states = torch.cat([states[:, :1], prompts, states[:, 1:]], dim=1)
        self.meter.forward("image", len(items), states.shape[1])
        states = tower.encoder(inputs_embeds=states).last_hidden_state
        projected: Tensor = self.model.visual_projection(tower.post_layernorm(states[:, 0]))
        return projected

    def text_features(self, texts: Sequence[str], *, injection: TowerPrompts | None = None) -> Tensor:
        """float [C, width] of texts, before normalisation, differentiable. InputError where one is longer than the model reads."""
        ids, end = self._tokens(texts, 0 if injection is None or injection.text is None else len(injection.text))
        tower = self.model.text_model
        words = tower.embeddings.token_embedding(ids)
        if injection is not None and injection.text is not None:
            context = injection.text.to(words).expand(len(texts), -1, -1)
            words, end = torch.cat([words[:, :1], context, words[:, 1:]], dim=1), end + len(injection.text)
        states = tower.embeddings(inputs_embeds=words)
        self.meter.forward("text", len(texts), states.shape[1])
        length = states.shape[1]
        mask = torch.full((length, length), torch.finfo(states.dtype).min, device=self.device, dtype=states.dtype).triu(1)[None, None]
        states = tower.final_layer_norm(tower.encoder(inputs_embeds=states, attention_mask=mask).last_hidden_state)
        projected: Tensor = self.model.text_projection(states[torch.arange(len(texts), device=self.device), end])
        return projected

    def scores(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """[B, C] cosines times the model's learned temperature: logits of each image over the texts."""
        images, texts = functional.normalize(image_features, dim=-1), functional.normalize(text_features, dim=-1)
        logits: Tensor = self.model.logit_scale.exp() * images @ texts.T
        return logits

    def _tokens(self, texts: Sequence[str], more: int) -> tuple[Tensor, Tensor]:
        """int64 [C, T] with start and end marks, padded, and [C] where the end marks are."""
        batch = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        ids: Tensor = batch["input_ids"].to(self.device)
        if ids.shape[1] + more > self.length:
            longest = max(texts, key=len)
            raise InputError(
                f"{longest!r} with {more} prompt vectors is longer than {self.length} tokens",
                key="class texts",
                expected="shorter texts or prompts",
            )
        named = self.model.config.text_config.eos_token_id
        end = ids.argmax(dim=1) if named == LEGACY_END else torch.eq(ids, named).int().argmax(dim=1)
        return ids, end


def load(info: BackboneInfo, device: torch.device) -> ImageText:
    """The CLIP in `info.folder`; `info.untrained` draws the weights of the same shape from that seed."""
    from transformers import AutoConfig, AutoTokenizer, CLIPModel

    from harness.backbones.load import _quiet

    assert info.folder is not None
    files.check_weights(info.folder)
    dtype = getattr(torch, info.dtype)
    with _quiet(), torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(info.folder)
        if info.untrained is not None:
            torch.manual_seed(info.untrained)
            model = CLIPModel._from_config(config, dtype=dtype)
        else:
            model = _trained(info, config, dtype)
        tokenizer = AutoTokenizer.from_pretrained(info.folder, use_fast=True)
    return ImageText(name=info.name, model=model.to(device), tokenizer=tokenizer, pixels=Pixels.of(info.folder), identity=info.identity)


def _trained(info: BackboneInfo, config: Any, dtype: torch.dtype) -> Any:
    from transformers import CLIPModel

    kind: Any = CLIPModel
    try:
        model, report = kind.from_pretrained(info.folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"weights do not fit the configuration: {' '.join(str(error).split())[:200]}", file=info.folder) from None
    missing = sorted(name for name in report["missing_keys"] if not name.endswith("position_ids"))
    if missing:
        raise InputError(
            f"its files lack {len(missing)} weights of a CLIP, first {missing[0]}", file=info.folder, expected="fetch it again"
        )
    return model
