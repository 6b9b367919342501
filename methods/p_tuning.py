"""P-tuning (Liu et al. 2021, arXiv 2103.10385): prompt vectors come out of a small network over trained embeddings.

The network is peft's PromptEncoder (a three-layer MLP, or the paper's LSTM with an MLP on top). It is needed in training only:
what must be stored is the prompt it gives, but so that training can go on we store the network too, and count both.
Nearest neighbour: prompt-tuning (no network).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from harness.methods.soft_prompt import SoftPrompt
from torch import Tensor, nn

from harness.registry import method
from harness.settings import choice, log_uniform, setting
from harness.task import Task, TaskData

if TYPE_CHECKING:
    from harness.backbones.backbone import Backbone
    from harness.training import Run


class EncodedPrompt(nn.Module):
    """peft's prompt encoder, called without arguments; gives [length, width]."""

    def __init__(self, length: int, width: int, hidden: int, kind: str) -> None:
        super().__init__()
        from peft import PromptEncoder, PromptEncoderConfig

        config = PromptEncoderConfig(
            encoder_reparameterization_type=kind,
            encoder_hidden_size=hidden,
            encoder_num_layers=2,
            encoder_dropout=0.0,
            num_virtual_tokens=length,
            token_dim=width,
            num_transformer_submodules=1,
        )
        self.encoder = PromptEncoder(config)
        self.register_buffer("places", torch.arange(length).unsqueeze(0), persistent=False)

    def forward(self) -> Tensor:
        prompt: Tensor = self.encoder(self.places)[0]
        return prompt


@method("p-tuning", paper="arXiv:2103.10385", needs=("prompt_injection",), tags=("text", "soft-prompt"))
class PTuning(SoftPrompt):
    """A soft prompt behind a reparametrising MLP or LSTM."""

    small: ClassVar[Mapping[str, Any]] = {"length": 3, "hidden": 16, "steps": 4}

    learning_rate: float = setting(3e-3, above=0, search=log_uniform(3e-4, 3e-2))
    hidden: int = setting(64, at_least=1, search=choice(64, 128, 256))
    encoder: str = setting("MLP", one_of=("MLP", "LSTM"), help="the paper's network is the LSTM")

    def prompt(self, backbone: Backbone, data: TaskData, run: Run) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.streams.integer("init"))  # peft draws its initial weights from the global generator
            return EncodedPrompt(self.length, backbone.width, self.hidden, self.encoder)

    def trainable_parameters(self, backbone: Backbone, task: Task) -> int:
        width, hidden = backbone.width, self.hidden
        table = self.length * width
        if self.encoder == "MLP":
            return table + (width * hidden + hidden) + (hidden * hidden + hidden) + (hidden * width + width)
        first = 2 * 4 * (width * hidden + hidden * hidden + 2 * hidden)  # two directions, four gates, two biases
        second = 2 * 4 * (2 * hidden * hidden + hidden * hidden + 2 * hidden)
        return table + first + second + (2 * hidden * 2 * hidden + 2 * hidden) + (2 * hidden * width + width)
