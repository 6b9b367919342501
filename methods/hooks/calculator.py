"""The calculator: a written equation whose right side is wrong is put right. It reads the equation and nothing else, so no answer leaks."""

from __future__ import annotations

import re
from fractions import Fraction

from .hook import Context, Hook

NUMBER = r"-?\d+(?:\.\d+)?"
EQUATION = re.compile(rf"(?P<left>{NUMBER}) (?P<sign>[-+*/x]) (?P<right>{NUMBER}) = (?P<result>{NUMBER})")


class Calculator(Hook):
    """Triggers surely on an equation whose result is wrong, not at all on one that is right or on no equation."""

    name = "calculator"

    def advantage(self, context: Context) -> float:
        return float(self.run(context) is not context)

    def run(self, context: Context) -> Context:
        corrected = EQUATION.sub(self._corrected, context.last)
        return context if corrected == context.last else context.with_last(corrected)

    @staticmethod
    def _corrected(found: re.Match[str]) -> str:
        left, right, said = (Fraction(found[name]) for name in ("left", "right", "result"))
        if found["sign"] == "/" and right == 0:
            return found[0]
        result = {"+": left + right, "-": left - right, "*": left * right, "x": left * right}.get(found["sign"])
        result = left / right if result is None else result
        return found[0] if result == said else f"{found['left']} {found['sign']} {found['right']} = {written(result)}"


def written(value: Fraction) -> str:
    """A number as one writes it: whole, or with at most four decimals."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.4f}".rstrip("0").rstrip(".")
