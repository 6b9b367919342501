"""Text-to-image diffusion: a UNet that draws by denoising, with cross-attention to the tokens of a text. Through `diffusers` (an extra).

A folder in diffusers' format (model_index.json with unet/, text_encoder/, tokenizer/, scheduler/ and, for latents, vae/). The UNet may
work on pixels (no vae/) or on latents (Stable Diffusion). Nothing but the named parts is loaded: no safety checker, no code of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.backbones import files
from harness.backbones.capabilities import EXPECTED
from harness.backbones.describe import BackboneInfo
from harness.backbones.pretrained import Pretrained
from harness.errors import InputError, UnsupportedError

Picture = NDArray[np.uint8]
INSTALL = "pip install 'adaptation-harness[diffusion]'"


class TextToImage(Pretrained):
    """One loaded pipeline. width : of the text encoder's states.  side : pixels of what it draws.  length : tokens of a text, padded to."""

    def __init__(
        self,
        *,
        name: str,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        vae: Any = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        parts = {"unet": unet, "text_encoder": text_encoder, **({"vae": vae} if vae is not None else {})}
        super().__init__(
            name=name, family="text_to_image", model=nn.ModuleDict(parts), capabilities=EXPECTED["text_to_image"], identity=identity
        )
        self.tokenizer, self.scheduler = tokenizer, scheduler
        self.width: int = text_encoder.config.hidden_size
        self.length: int = text_encoder.config.max_position_embeddings
        self.cells: int = unet.config.sample_size
        scale = 2 ** (len(vae.config.block_out_channels) - 1) if vae is not None else 1
        self.side = self.cells * scale

    @property
    def unet(self) -> Any:
        return self.model["unet"]

    def cross_attention(self) -> dict[str, nn.Linear]:
        """The key and value projections of every cross-attention, by name: what reads the text."""
        found = {name: module for name, module in self.unet.named_modules() if name.endswith((".attn2.to_k", ".attn2.to_v"))}
        if not found:
            raise UnsupportedError(f"{self.name} has no cross-attention to a text")
        return found

    def read(self, inputs: Mapping[str, Any]) -> str:
        text = inputs.get("text")
        if not isinstance(text, str):
            raise InputError("the example has no text", key="inputs.text", expected="what is to be drawn")
        return text

    def shown(self, inputs: Mapping[str, Any]) -> str:
        return str(inputs.get("text", ""))

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """int64 [B, length] with start and end marks, padded. InputError where a text is longer."""
        kept: Tensor = self.tokenizer(
            list(texts), padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        ).input_ids
        longest = [text for text in texts if len(self.tokenizer(text, verbose=False).input_ids) > self.length]
        if longest:
            raise InputError(f"{longest[0]!r} is longer than {self.length} tokens", key="text", expected="a shorter text")
        return kept.to(self.device)

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """float [B, length, width] last states of the text encoder: what the cross-attention reads."""
        ids = self.token_ids(texts)
        self.meter.forward("text", len(texts), self.length)
        states: Tensor = self.model["text_encoder"](input_ids=ids).last_hidden_state
        return states

    def noise(self, numbers: Sequence[int]) -> Tensor:
        """float32 [B, channels, cells, cells] start of a drawing, one for each noise seed; the same on every device."""
        shape = (self.unet.config.in_channels, self.cells, self.cells)
        drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(number)) for number in numbers]
        return torch.stack(drawn).to(self.device)

    @torch.no_grad()
    def draw(
        self, texts: Sequence[str], numbers: Sequence[int], *, steps: int = 12, guidance: float = 3.0, batch: int = 64
    ) -> NDArray[np.uint8]:
        """uint8 [B, side, side, 3]: text i drawn from noise seed numbers[i], by deterministic DDIM with classifier-free guidance."""
        if len(texts) != len(numbers):
            raise ValueError(f"{len(texts)} texts and {len(numbers)} noise seeds")
        distinct = list(dict.fromkeys(texts))
        states = dict(zip(distinct, self.text_states(distinct)))
        empty = self.text_states([""])[0]
        parts = []
        for first in range(0, len(texts), batch):
            chosen = texts[first : first + batch]
            parts.append(
                self._denoised(torch.stack([states[text] for text in chosen]), empty, numbers[first : first + batch], steps, guidance)
            )
        return np.concatenate(parts) if parts else np.zeros((0, self.side, self.side, 3), dtype=np.uint8)

    def _denoised(self, told: Tensor, empty: Tensor, numbers: Sequence[int], steps: int, guidance: float) -> NDArray[np.uint8]:
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        x = self.noise(numbers) * scheduler.init_noise_sigma
        both = torch.cat([empty.expand_as(told), told])
        for moment in scheduler.timesteps:
            twice = scheduler.scale_model_input(torch.cat([x, x]), moment)
            self.meter.forward("denoise", len(twice), self.cells * self.cells)
            without, within = self.unet(twice, moment, encoder_hidden_states=both).sample.chunk(2)
            x = scheduler.step(without + guidance * (within - without), moment, x).prev_sample
        return self._pictures(x)

    def _pictures(self, x: Tensor) -> NDArray[np.uint8]:
        if "vae" in self.model:
            vae = self.model["vae"]
            x = vae.decode(x / vae.config.scaling_factor).sample
        levels = ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).cpu().numpy()


def load(info: BackboneInfo, device: torch.device) -> TextToImage:
    """The pipeline in `info.folder`; `info.untrained` draws the UNet's weights of the same shape from that seed."""
    try:
        from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    except ModuleNotFoundError:
        raise InputError("the package diffusers is not installed", key="backbone", expected=INSTALL) from None
    from transformers import AutoTokenizer, CLIPTextModel

    from harness.backbones.load import _quiet

    folder = info.folder
    assert folder is not None
    files.check_weights(folder)
    dtype = getattr(torch, info.dtype)

    def part(kind: Any, name: str) -> Any:
        try:
            return kind.from_pretrained(folder / name, torch_dtype=dtype, use_safetensors=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"cannot be loaded: {' '.join(str(error).split())[:200]}", file=folder / name) from None

    with _quiet(), torch.random.fork_rng(devices=[]):
        unet = (
            part(UNet2DConditionModel, "unet") if info.untrained is None else _untrained(UNet2DConditionModel, folder / "unet", info, dtype)
        )
        text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=dtype, use_safetensors=True)
        vae = part(AutoencoderKL, "vae") if (folder / "vae").is_dir() else None
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", use_fast=True)
        scheduler = part_of(DDIMScheduler, folder / "scheduler")
    made = TextToImage(
        name=info.name, unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler, vae=vae, identity=info.identity
    )
    made.model.to(device)
    made.device = device
    return made


def part_of(kind: Any, folder: Path) -> Any:
    """A part that has settings and no weights."""
    return kind.from_pretrained(folder)


def _untrained(kind: Any, folder: Path, info: BackboneInfo, dtype: torch.dtype) -> Any:
    torch.manual_seed(info.untrained or 0)
    return kind.from_config(kind.load_config(folder)).to(dtype)
