"""Vision transformers: ViT, supervised or of any pretraining that ends in one, and masked autoencoders' encoders (ViT-MAE).

transformers' own modules in their order (embeddings, blocks, last norm), so that prompts can stand among the tokens and be changed between
two blocks (`block_prompts.py`). Both checkpoints with heads or decoders and bare encoders are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.backbones import files
from harness.backbones.architectures import Architecture, architecture_of
from harness.backbones.attention import ATTENTION
from harness.backbones.block_prompts import BlockPrompts, class_attention, run_blocks
from harness.backbones.describe import BackboneInfo
from harness.backbones.pixels import FILE as PROCESSOR
from harness.backbones.pixels import Pixels, picture
from harness.backbones.pretrained import Pretrained
from harness.errors import InputError, UnsupportedError

Picture = NDArray[np.uint8]
Pooling = Literal["cls", "mean", "patches"]
POOLINGS: tuple[Pooling, ...] = ("cls", "mean", "patches")
DEFAULT_POOLING: dict[str, Pooling] = {"vit": "cls", "vit_mae": "mean"}
"""By model type. Masked autoencoders never train their class token: the mean over all other tokens is read (He et al. 2022, appendix A.1)."""


class VisionTransformer(Pretrained):
    """One loaded ViT of `layers` blocks and `width`, which reads pictures as `patches` tokens behind a class token."""

    def __init__(
        self, *, name: str, model: Any, pixels: Pixels, capabilities: frozenset[str], identity: dict[str, Any] | None = None
    ) -> None:
        super().__init__(name=name, family="vision_transformer", model=model, capabilities=capabilities, identity=identity)
        self.pixels = pixels
        self.architecture: Architecture = architecture_of(model.config)
        self.pooling: Pooling = DEFAULT_POOLING.get(model.config.model_type, "cls")
        self.width: int = model.config.hidden_size
        self.layers = len(self.layer_modules())
        height, width = _pair(model.config.image_size)
        self.patch: tuple[int, int] = _pair(model.config.patch_size)
        self.size = (height, width)
        self.grid = (height // self.patch[0], width // self.patch[1])

    @property
    def patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def base(self) -> Any:
        """The encoder, where the paths of `architecture` start."""
        return self.model

    def layer_modules(self, side: Literal["encoder", "decoder"] = "encoder") -> list[nn.Module]:
        """The blocks in order; there is no decoder."""
        return list(self.base.get_submodule(self.architecture.layers)) if side == "encoder" else []

    def read(self, inputs: Mapping[str, Any]) -> Picture:
        return picture(inputs)

    def hidden_states(self, items: Sequence[Picture], *, injection: BlockPrompts | None = None) -> tuple[Tensor, Tensor]:
        """[L + 1, B, T, width] states of the tokens as embedded and after every block, and bool [B, T], True at patches.

        With prompts at the input T is 1 + P + patches, and the first states hold zeros where the prompts were not there yet; prompts
        that enter later than the input are refused here.
        """
        if injection is not None and injection.at:
            raise InputError(f"prompts before block {injection.at}", key="injection", expected="prompts at the input")
        length = 0 if injection is None else injection.length
        states = self._states(items, injection)
        if length:
            states[0] = torch.cat([states[0][:, :1], states[0].new_zeros(len(items), length, self.width), states[0][:, 1:]], dim=1)
        marked = torch.arange(states[0].shape[1], device=self.device) > length
        return torch.stack(states), marked.expand(len(items), -1)

    def features(self, items: Sequence[Picture], *, pooling: Pooling | None = None, injection: BlockPrompts | None = None) -> Tensor:
        """[B, width], differentiable: the states after the last block pooled, then the last norm.

        pooling : "cls" the class token; "mean" all other tokens, prompts among them (what gated prompt tuning reads of a masked
            autoencoder); "patches" the patches alone. None is the model type's own: "mean" for ViT-MAE, else "cls".
        """
        pooling = pooling or self.pooling
        if pooling not in POOLINGS:
            raise InputError(f"{pooling!r} is no pooling of a vision transformer", key="pooling", expected=", ".join(POOLINGS))
        last = self._states(items, injection)[-1]
        start = {"cls": 0, "mean": 1, "patches": last.shape[1] - self.patches}[pooling]
        pooled = last[:, 0] if pooling == "cls" else last[:, start:].mean(dim=1)
        return self.base.get_submodule(self.architecture.final_norm)(pooled)  # type: ignore[no-any-return]

    def class_attention(self, items: Sequence[Picture], *, injection: BlockPrompts | None = None) -> tuple[Tensor, Tensor]:
        """How much the class token attends in the last block: float [B, rows, columns] to the patches, [B] to the prompts; heads' mean."""
        weights = class_attention(self, self._embedded(items, injection), injection)
        prompts = weights.shape[1] - 1 - self.patches
        return weights[:, 1 + prompts :].unflatten(1, self.grid), weights[:, 1 : 1 + prompts].sum(dim=1)

    def _states(self, items: Sequence[Picture], injection: BlockPrompts | None) -> list[Tensor]:
        return run_blocks(self, self._embedded(items, injection), injection)

    def _embedded(self, items: Sequence[Picture], injection: BlockPrompts | None) -> Tensor:
        """[B, 1 + patches, width], and the meter is told of the pass that follows."""
        pixels = self.pixels(items, self.device).to(next(self.model.parameters()).dtype)
        if tuple(pixels.shape[2:]) != self.size:
            raise InputError(
                f"a picture of {pixels.shape[2]} x {pixels.shape[3]} pixels",
                key="inputs.image",
                expected=f"{self.name} reads {self.size[0]} x {self.size[1]}; let its {PROCESSOR} resize",
            )
        self.meter.forward("image", len(items), 1 + self.patches + (0 if injection is None else injection.length))
        if self.base.config.model_type != "vit_mae":
            return self.base.embeddings(pixels)  # type: ignore[no-any-return]
        order = torch.arange(self.patches, device=self.device, dtype=pixels.dtype).expand(len(items), -1)  # nothing hidden, none moved
        return self.base.embeddings(pixels, noise=order)[0]  # type: ignore[no-any-return]


def sine_positions(rows: int, columns: int, width: int) -> Tensor:
    """float32 [1, 1 + rows x columns, width]: the fixed places of He et al. 2022's code, sines and cosines of the column and then of the
    row at rates from 1 to 1/10000, a quarter of the width each; zeros for the class token.
    """
    if width % 4:
        raise InputError(f"a masked autoencoder of width {width}", key="hidden_size", expected="a multiple of 4, for its sine positions")
    rates = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [axis.flatten()[:, None] * rates for axis in (across, down)]
    found = torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([found.new_zeros(1, width), found])[None].float()


@torch.no_grad()
def start_masked_autoencoder(model: Any) -> None:
    """Give a new ViTMAEModel or ViTMAEForPreTraining, in place, the start of He et al. 2022's code: fixed sine positions in encoder and
    decoder, Glorot's uniform start of the patch embedding, and small random class and mask tokens.

    transformers (5.23) leaves all positions at zero in a model made from a configuration: it starts the patch embedding first and then
    takes that for a sign that the rest was loaded. Such a model does not know where a patch is, so its decoder can at best draw one
    and the same patch everywhere.
    """
    embeddings = model.get_submodule("vit.embeddings" if hasattr(model, "vit") else "embeddings")
    height, width = _pair(model.config.image_size)
    rows, columns = height // _pair(model.config.patch_size)[0], width // _pair(model.config.patch_size)[1]
    embeddings.position_embeddings.copy_(sine_positions(rows, columns, model.config.hidden_size))
    nn.init.xavier_uniform_(embeddings.patch_embeddings.projection.weight.flatten(1))
    nn.init.normal_(embeddings.cls_token, std=model.config.initializer_range)
    decoder = getattr(model, "decoder", None)
    if decoder is not None:
        decoder.decoder_pos_embed.copy_(sine_positions(rows, columns, model.config.decoder_hidden_size))
        nn.init.normal_(decoder.mask_token, std=model.config.initializer_range)


def _pair(size: Any) -> tuple[int, int]:
    return (int(size[0]), int(size[1])) if isinstance(size, (list, tuple)) else (int(size), int(size))


def load(info: BackboneInfo, device: torch.device) -> VisionTransformer:
    """The ViT in `info.folder`; `info.untrained` draws the weights of the same shape from that seed."""
    from transformers import AutoConfig

    from harness.backbones.load import _quiet

    assert info.folder is not None
    files.check_weights(info.folder)
    with _quiet(), torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(info.folder)
        architecture_of(config)
        model = _model(info, config)
    if config.model_type == "vit_mae":
        model.config.mask_ratio = 0.0
    model.set_attn_implementation(ATTENTION)
    return VisionTransformer(
        name=info.name,
        model=model.to(device),
        pixels=Pixels.of(info.folder),
        capabilities=info.capabilities,
        identity=info.identity,
    )


def _model(info: BackboneInfo, config: Any) -> Any:
    """The encoder, without pooler, head or decoder."""
    from transformers import ViTMAEModel, ViTModel

    kinds: dict[str, tuple[Any, dict[str, Any]]] = {"vit": (ViTModel, {"add_pooling_layer": False}), "vit_mae": (ViTMAEModel, {})}
    if config.model_type not in kinds:
        raise UnsupportedError(f"{info.name}: {config.model_type!r} is no vision transformer that is known ({', '.join(kinds)} are)")
    cls, extra = kinds[config.model_type]
    dtype = getattr(torch, info.dtype)
    if info.untrained is not None:
        torch.manual_seed(info.untrained)
        model = cls._from_config(config, dtype=dtype, **extra)
        if config.model_type == "vit_mae":
            start_masked_autoencoder(model)
        return model
    try:
        model, report = cls.from_pretrained(
            info.folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **extra
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"weights do not fit the configuration: {' '.join(str(error).split())[:200]}", file=info.folder) from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"its files lack {len(missing)} weights of a vision transformer, first {missing[0]}",
            file=info.folder,
            expected="fetch it again",
        )
    return model
