"""From paths to findings: which files are read, what suppresses a finding, and in which order they come."""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError, unknown_name

from .find import find
from .prompts import Finding, Prompt
from .rules import RULES, UNREAD, Rule, check
from .task_files import find_in_task

SUFFIXES = (".py", ".yaml", ".yml")
LEFT_OUT = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
NOQA = re.compile(r"#\s*noqa(?::\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Linted:
    """files : how many were read.  prompts : how many were found.  suppressed : findings that a comment took away."""

    findings: tuple[Finding, ...]
    files: int
    prompts: int
    suppressed: int


def chosen_rules(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Rule]:
    """The rules whose code begins with one of `select` (all where it is empty) and with none of `ignore`; names of rules count too."""
    for word in (*select, *ignore):
        if not any(code.startswith(word) or rule.name == word for code, rule in RULES.items()):
            raise unknown_name("rule", word, [*RULES, *(rule.name for rule in RULES.values())], listing="harness lint --rules")

    def named(rule: Rule, words: Sequence[str]) -> bool:
        return any(rule.code.startswith(word) or rule.name == word for word in words)

    return [rule for rule in RULES.values() if (not select or named(rule, select)) and not named(rule, ignore)]


def lint_paths(paths: Sequence[Path], rules: Sequence[Rule]) -> Linted:
    """Lint files, and every Python and YAML file under folders."""
    findings: list[Finding] = []
    read = prompts = suppressed = 0
    for file in files_of(paths):
        read += 1
        found, raw = lint_file(file, rules)
        quiet = suppressions(raw, file.suffix)
        kept = [finding for finding in found.findings if not quiet.hides(finding, found.prompts)]
        prompts += len(found.prompts)
        suppressed += len(found.findings) - len(kept)
        findings += kept
    findings.sort(key=lambda item: (str(item.file), item.line, item.column, item.rule))
    return Linted(tuple(findings), read, prompts, suppressed)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those under the folders named, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(_under(path))
        elif not path.exists():
            raise InputError("no such file or folder", file=path)
        elif path.suffix not in SUFFIXES:
            raise InputError("is neither Python nor YAML", file=path, expected=f"files end with {', '.join(SUFFIXES)}")
        else:
            found[path] = None
    return list(found)


def _under(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        yield from (Path(place, name) for name in sorted(names) if name.endswith(SUFFIXES))


@dataclass(frozen=True)
class _Read:
    findings: tuple[Finding, ...]
    prompts: tuple[Prompt, ...]


def lint_file(file: Path, rules: Sequence[Rule]) -> tuple[_Read, str]:
    """Findings and prompts of one file, comments not heeded yet, and its text. A file that cannot be parsed is itself a finding."""
    text = ""
    try:
        if file.suffix == ".py":
            with tokenize.open(file) as stream:
                text = stream.read()
            prompts = find(text, file)
        else:
            text = file.read_text(encoding="utf-8")
            prompts = find_in_task(file)
    except (SyntaxError, InputError, ValueError, OSError, RecursionError) as error:
        line = getattr(error, "lineno", None) or getattr(error, "line", None) or 1
        said = error.msg if isinstance(error, SyntaxError) else error.message if isinstance(error, InputError) else str(error)
        return _Read((Finding(UNREAD, "error", file, line, 1, f"cannot be read: {' '.join(said.split())}"),), ()), text
    return _Read(tuple(check(prompts, rules)), tuple(prompts)), text


@dataclass(frozen=True)
class Suppressions:
    """line -> codes that a `# noqa: CODES` there hides; None hides all."""

    lines: dict[int, frozenset[str] | None]

    def hides(self, finding: Finding, prompts: Iterable[Prompt]) -> bool:
        if finding.rule == UNREAD:
            return False
        last = max((p.last_line for p in prompts if (p.line, p.column, p.file) == (finding.line, finding.column, finding.file)), default=0)
        for line in range(finding.line, max(finding.line, last) + 1):
            codes = self.lines.get(line, frozenset())
            if codes is None or finding.rule in codes:
                return True
        return False


def suppressions(text: str, suffix: str) -> Suppressions:
    """The `noqa` comments of a file; in Python only real comments count, not what a string says."""
    lines: dict[int, frozenset[str] | None] = {}
    for number, comment in _comments(text) if suffix == ".py" else enumerate(text.splitlines(), 1):
        found = NOQA.search(comment)
        if found is not None:
            codes = found["codes"]
            lines[number] = frozenset(re.split(r"[,\s]+", codes.upper())) if codes else None
    return Suppressions(lines)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return
