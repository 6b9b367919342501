"""What a backbone tells of its work. The engine's `harness.costs.Meter` is one; `Tally` is the plain one of a backbone by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Meter(Protocol):
    """Counts forward passes and what was cut; the backbone adds to it."""

    truncated_examples: int
    truncated_tokens: int

    def forward(self, kind: str, batch: int, length: int, tokens: int | None = None) -> None:
        """A forward pass over [batch, length] tokens is about to run, `tokens` of them real."""


@dataclass
class Tally:
    """Plain counts."""

    forward_calls: int = 0
    tokens: int = 0
    truncated_examples: int = 0
    truncated_tokens: int = 0

    def forward(self, kind: str, batch: int, length: int, tokens: int | None = None) -> None:
        self.forward_calls += 1
        self.tokens += batch * length if tokens is None else tokens
