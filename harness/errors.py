"""The two ways in which work can be refused: the input is wrong, or the combination is not supported."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(Exception):
    """Bad input: one line naming file, line, key, value and what would be right. The command line exits with 2."""

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        expected: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.key, self.expected = message, file, line, key, expected
        super().__init__(self.one_line())

    def one_line(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        parts = [part for part in (place, self.key) if part]
        text = ": ".join([*parts, self.message])
        return f"{text}; {self.expected}" if self.expected else text

    def located(self, *, file: str | Path | None = None, line: int | None = None, key: str | None = None) -> InputError:
        """The same error with a place filled in where none was known yet."""
        return InputError(
            self.message,
            file=self.file if self.file is not None else file,
            line=self.line if self.line is not None else line,
            key=self.key if self.key is not None else key,
            expected=self.expected,
        )


class UnsupportedError(Exception):
    """A method does not apply to this backbone or task: known when planning, and no failure."""


class DivergedError(Exception):
    """Training left the finite numbers: the trial's status is `diverged`, with the step in the reason."""


def unknown_name(kind: str, name: str, known: Iterable[str], *, listing: str | None = None) -> InputError:
    """An unknown `name`, with its nearest neighbours among `known` and how to list them all."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else (f"known: {', '.join(known[:12])}" if known else "none is known")
    if listing:
        hint += f" (see `{listing}`)"
    return InputError(f"unknown {kind} {name!r}", expected=hint)
