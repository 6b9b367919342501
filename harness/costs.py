"""What a trial costs, measured so that it means something: FLOPs, saved bytes, tokens, calls, seconds and memory.

FLOPs are counted once for each shape of a step and multiplied. PyTorch's counter does not know the fused attention kernel of
the CPU; its formula is given here, so that the very kernel that runs is the one counted and a counted step computes the same
bytes as any other.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count


def _flash_cpu(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _flash_cpu_backward(grad: Any, query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))


def _convolution_backward(gradient: Any, x: Any, weight: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """As many as forward for each of input and weight that is asked for; PyTorch's own formula takes grouped convolutions for dense ones."""
    asked = args[-1] if args else kwargs["output_mask"]
    transposed = bool(args[4] if len(args) > 4 else kwargs["transposed"])
    return int(conv_flop_count(x, weight, gradient, transposed=transposed)) * sum(map(bool, asked[:2]))


_FORMULAS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _flash_cpu,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _flash_cpu_backward,
    torch.ops.aten.convolution_backward: _convolution_backward,
}


def flop_counter() -> FlopCounterMode:
    """A FLOP counter that also sees fused attention on the CPU. One multiply-add counts as two."""
    return FlopCounterMode(display=False, custom_mapping=_FORMULAS)


@contextmanager
def saved_bytes(exclude: set[int] | None = None) -> Iterator[Counter[str]]:
    """Count the bytes autograd keeps for the backward pass; each storage once, parameters (data pointers in `exclude`) not at all."""
    total: Counter[str] = Counter()
    seen: set[int] = set(exclude or ())

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total["bytes"] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total


@dataclass
class Costs:
    """Totals of one trial. Parameters apart by what they are; memory as peak bytes (see `memory_kind`)."""

    trainable_parameters: int = 0
    head_parameters: int = 0
    stored_parameters: int = 0
    stored_bytes: int = 0
    seconds_setup: float = 0.0
    seconds_train: float = 0.0
    seconds_evaluate: float = 0.0
    tokens: int = 0
    forward_calls: int = 0
    steps: int = 0
    examples: int = 0
    flops: float = 0.0
    peak_bytes: int | None = None
    memory_kind: str = "parameters + optimiser state + saved activations"
    truncated_examples: int = 0
    truncated_tokens: int = 0
    shared: bool = False


@dataclass
class Meter:
    """Counts while a trial runs. The backbone tells it of every forward pass; the training loop marks the steps."""

    forward_calls: int = 0
    tokens: int = 0
    truncated_examples: int = 0
    truncated_tokens: int = 0
    flops: float = 0.0
    activation_bytes: int = 0
    phase: str = "setup"
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    known: dict[tuple[Any, ...], tuple[float, int]] = field(default_factory=dict)  # shape of a step -> FLOPs, bytes saved in it
    _signature: list[tuple[Any, ...]] = field(default_factory=list)
    _depth: int = 0  # phases being timed; outside of them nobody would close a counter, so none is opened
    _counting: tuple[ExitStack, FlopCounterMode, Counter[str]] | None = None

    def forward(self, kind: str, batch: int, length: int, tokens: int | None = None) -> None:
        """A forward pass over [batch, length] tokens is about to run (`tokens` real ones; all, if not said)."""
        self.forward_calls += 1
        self.tokens += batch * length if tokens is None else tokens
        training = torch.is_grad_enabled()
        if not training or self.phase != "train":
            self.end_step()  # outside training every pass is a step of its own
        self._signature.append((kind, batch, length, training))
        if self._depth and self._counting is None and tuple(self._signature) not in self.known:
            stack = ExitStack()
            saved = stack.enter_context(saved_bytes()) if training else Counter()
            self._counting = (stack, stack.enter_context(flop_counter()), saved)

    def end_step(self) -> None:
        """The forward pass, or the training step with its backward pass, is over: add what it cost."""
        signature = tuple(self._signature)
        if self._counting is not None:
            stack, counter, saved = self._counting
            stack.close()
            self._counting = None
            self.known[signature] = float(counter.get_total_flops()), saved["bytes"]
        if signature:
            flops, saved_in_step = self.known.get(signature, (0.0, 0))
            self.flops += flops
            self.activation_bytes = max(self.activation_bytes, saved_in_step)
            self._signature.clear()

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the seconds within to `phase` (setup, train or evaluate)."""
        before, self.phase = self.phase, phase
        start = time.perf_counter()
        self._depth += 1
        try:
            yield
        finally:
            self.end_step()
            self._depth -= 1
            self.seconds[phase] += time.perf_counter() - start
            self.phase = before
