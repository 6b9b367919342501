"""Named random streams from one number. Any may be held while others vary, or crossed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.errors import InputError
from harness.identity import digest

STREAMS = ("data", "demos", "init", "order", "noise")  # rows drawn; demonstrations; initial weights; batch order; dropout


class Streams:
    """`Streams({"data": 3, ...}).rng("init")`: a generator that depends on the stream's number and its name alone.

    A name outside STREAMS (a method's own, such as "policy") follows the number of `init`.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        for name, number in numbers.items():
            if name not in STREAMS:
                raise InputError(f"unknown seed stream {name!r}", key="seeds", expected=f"streams are {', '.join(STREAMS)}")
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise InputError(f"{number!r} is no seed", key=f"seeds.{name}", expected="a whole number from 0")
        self.numbers = {name: int(numbers.get(name, 0)) for name in STREAMS}

    def sequence(self, name: str, *within: object) -> np.random.SeedSequence:
        number = self.numbers.get(name, self.numbers["init"])
        return np.random.SeedSequence([number, int(digest([name, *map(str, within)])[:15], 16)])

    def rng(self, name: str, *within: object) -> np.random.Generator:
        return np.random.default_rng(self.sequence(name, *within))

    def integer(self, name: str, *within: object) -> int:
        """A 63-bit seed for libraries that take one number (torch.Generator)."""
        return int(self.sequence(name, *within).generate_state(1, np.uint64)[0] >> 1)
