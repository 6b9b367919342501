"""What every loaded model offers, whatever it reads: an identity, capabilities, a meter, features of inputs, and forks of itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.backbones.capabilities import Family
from harness.backbones.meter import Meter, Tally


class Pretrained:
    """One loaded model: parameters frozen, in evaluation mode, and never modified in place by a method (see `fork`).

    width : of the vectors that `features` gives.
    identity : JSON-able facts that answers depend on: digests of weights, processor and configuration, revision, dtype.
    meter : told of every forward pass and of everything that was cut.
    """

    width: int

    def __init__(
        self,
        *,
        name: str,
        family: Family,
        model: nn.Module,
        capabilities: frozenset[str] = frozenset(),
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.family = name, family
        self.model: Any = model  # a module whose parts are found by name, which types cannot follow
        self.capabilities, self.identity = capabilities, identity or {}
        self.meter: Meter = Tally()
        self.device: torch.device = next(model.parameters()).device
        model.requires_grad_(False)
        model.eval()

    @property
    def trunk(self) -> Any:
        """The modules that turn inputs into states, without heads."""
        return self.model

    def read(self, inputs: Mapping[str, Any]) -> Any:
        """What `features` takes of an example's inputs. InputError where the example has nothing that this model reads."""
        raise NotImplementedError

    def shown(self, inputs: Mapping[str, Any]) -> str:
        """The inputs as a line of text for people; empty where they are no text."""
        return ""

    def features(self, items: Sequence[Any], *, pooling: Any = None, injection: Any = None) -> Tensor:
        """[B, width] one vector an item (of those that `read` gives), differentiable."""
        raise NotImplementedError

    def parameter_count(self) -> int:
        """Numbers in the model, tied ones once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def fork(self, *, copy_weights: bool | Callable[[str], bool] = False) -> Any:
        """A backbone of its own modules for a method that changes them; the original stays as it is.

        Parameters are shared (they must then not be trained), or copied with `copy_weights`: all with True, else those whose
        name it accepts (BitFit copies the biases alone); buffers are always copied. Everything in the fork is frozen until the
        method says otherwise.
        """
        wanted = copy_weights if callable(copy_weights) else (lambda name: bool(copy_weights))
        memo = {id(parameter): parameter for name, parameter in self.model.named_parameters() if not wanted(name)}
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model, memo)
        other.identity = {}  # its weights may come to differ: nothing kept under the original's identity is its own
        return other
