"""Source files with known prompts, to measure detectors on: real modules of Python's library with real prompts written into them.

Whatever string a library module has is no prompt: their names, calls and templates are real ones that may fool a detector. The prompts
are developers' own (PromptSet's), in the ways code holds them, those of several lines
between triple quotes where they can be: `FORMS` that the detectors cover, and `UNCOVERED` ones. Every fourth
file also gets one of `HARD`, strings that look like prompts and are none. Those numbers were set before anything was measured.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sysconfig
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from harness.errors import InputError

Part = Literal["dev", "test"]
SHORTEST = 10  # characters: PromptSet's statistics leave out shorter prompts too
MODULE_BYTES = (3_000, 60_000)
FILES = 240
PROMPTS, HARD_EVERY = 3, 4  # prompts of covered forms a file, beside one of an uncovered form; a hard string every fourth file
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Label:
    """A string that was written into a file: lines [first, last], how, and whether it is a prompt."""

    first: int
    last: int
    form: str
    prompt: bool


@dataclass(frozen=True)
class LabelledFile:
    name: str
    source: str
    labels: tuple[Label, ...]


def quoted(text: str) -> str:
    """A literal as one would type it: between triple quotes where there are several lines and nothing has to be escaped."""
    plain = "\n" in text and '"' not in text and "\\" not in text and text.replace("\n", "").isprintable()
    return f'"""{text}"""' if plain else repr(text)


def _assign(name: str) -> Callable[[str], str]:
    return lambda text: f"    {name} = {quoted(text)}\n    return {name}"


def _formatted(text: str) -> str:
    names = dict.fromkeys(FIELD.findall(text))
    return f"    return client.ask({quoted(text)}.format({', '.join(f'{n}=1' for n in names)}))"


FORMS: dict[str, Callable[[str], str]] = {
    "name": _assign("summary_prompt"),
    "constant": lambda text: f"    global SYSTEM_TEMPLATE\n    SYSTEM_TEMPLATE = {quoted(text)}",
    "attribute": lambda text: f"    self.prompt = {quoted(text)}",
    "f-string": lambda text: f"    prompt = f{quoted(text.replace('{', '{{').replace('}', '}}') + ' {value}')}\n    return prompt",
    "concatenation": lambda text: f"    prompt = header + {quoted(text)} + str(value)\n    return prompt",
    "join": lambda text: f"    prompt = ' '.join([{quoted(text)}, value])\n    return prompt",
    "appended": lambda text: f"    prompt = base()\n    prompt += {quoted(text)}\n    return prompt",
    "choice": lambda text: f"    prompt = {quoted(text)} if value else None\n    return prompt",
    "template": lambda text: f"    return PromptTemplate.from_template({quoted(text)})",
    "template-keyword": lambda text: f"    return PromptTemplate(template={quoted(text)}, input_variables=list(value))",
    "message": lambda text: f"    return HumanMessage(content={quoted(text)})",
    "messages": lambda text: f"    return ChatPromptTemplate.from_messages([('system', {quoted(text)}), ('human', '{{input}}')])",
    "chat-completion": lambda text: (
        f"    return openai.ChatCompletion.create(model='m', messages=[{{'role': 'user', 'content': {quoted(text)}}}])"
    ),
    "completion": lambda text: f"    return openai.Completion.create(engine='m', prompt={quoted(text)})",
    "through-a-name": lambda text: (
        f"    said = {quoted(text)}\n    return client.chat.completions.create(messages=[{{'role': 'user', 'content': said}}])"
    ),
    "chat": lambda text: f"    return bot.chat({quoted(text)})",
    "summarize": lambda text: f"    return model.summarize(text={quoted(text)})",
    "tool-docstring": lambda text: f"    @tool\n    def look_up(query):\n        {quoted(text)}\n        return query",
    "tool-class": lambda text: f"    class LookUpTool(BaseTool):\n        name = 'look_up'\n        description = {quoted(text)}",
}
UNCOVERED: dict[str, Callable[[str], str]] = {
    "called-model": lambda text: f"    return llm({quoted(text)})",
    "invoke": lambda text: f"    return chain.invoke({quoted(text)})",
    "other-name": _assign("question"),
    "returned": lambda text: f"    return {quoted(text)}",
    "default": lambda text: f"    def ask(self, instruction={quoted(text)}):\n        return instruction",
    "keyword": lambda text: f"    return Agent(system_message={quoted(text)})",
    "reassigned": lambda text: (
        f"    said = 'x'\n    said = {quoted(text)}\n    return client.chat.completions.create(messages=[{{'role': 'user', 'content': said}}])"
    ),
    "formatted-inline": _formatted,
}
HARD: dict[str, Callable[[], str]] = {
    "path": lambda: "    template_path = 'reports/templates/monthly.html'",
    "html": lambda: "    row_template = '<div class=\"row\"><span>{name}</span> {value}</div>'",
    "shell": lambda: "    shell_prompt = '(venv) user@host:~$ '",
    "console": lambda: "    prompt = input('Enter the number of rows: ')",
    "option": lambda: "    parser.add_argument('--prompt', help='the text that is sent to the server')",
    "error-message": lambda: "    raise_error(ErrorMessage('the file could not be opened for writing'))",
    "mail": lambda: "    mail_template = 'Dear %s, your order has been sent and will arrive on %s.'",
    "string-template": lambda: "    return string.Template('$name has $count new messages in $folder')",
    "room-chat": lambda: "    return room.chat('the server restarts in five minutes')",
    "log-format": lambda: "    log_template = '%(asctime)s %(levelname)s %(name)s: %(message)s'",
    "token-count": lambda: "    prompt_tokens = 'number of tokens'",
    "sql": lambda: "    query_template = 'SELECT id, name FROM users WHERE id = {id}'",
}


def data_folder() -> Path:
    """Where the real prompts are: HARNESS_TEST_DATA, or `shared/data` beside a checkout."""
    folder = Path(os.environ.get("HARNESS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (folder / "prompts").is_dir():
        raise InputError("there are no real prompts to measure on", key="HARNESS_TEST_DATA", expected="the folder that holds prompts/")
    return folder


def in_part(name: str, part: Part) -> bool:
    """Half of everything is for development and half for the measured figures, by a digest of the name."""
    return (hashlib.sha256(name.encode()).digest()[0] % 2 == 0) == (part == "dev")


@cache
def real_prompts(part: Part) -> tuple[str, ...]:
    """PromptSet's strings of one half, with the escapes of their source undone."""
    file = data_folder() / "prompts" / "promptset_prompts" / "all.jsonl"
    texts = (json.loads(line)["prompt"] for line in file.read_text(encoding="utf-8").splitlines())
    plain = (text.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'").rstrip("\\") for text in texts)
    return tuple(dict.fromkeys(text for text in plain if len(text.strip()) >= SHORTEST and in_part(text, part)))


@cache
def library_modules(part: Part) -> tuple[tuple[str, str], ...]:
    """(name, source) of modules of Python's library of one half; which Python runs decides what is in them."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for file in sorted(folder.glob("*.py")) + sorted(folder.glob("[a-z]*/*.py")):
        name = str(file.relative_to(folder))
        if file.stat().st_size in range(*MODULE_BYTES) and in_part(name, part) and not re.search(r"site-packages|test|idlelib", name):
            with tokenize.open(file) as stream:
                found.append((name, stream.read().rstrip("\n") + "\n"))
    return tuple(found)


@cache
def corpus(part: Part, files: int = FILES, seed: int = 0) -> tuple[LabelledFile, ...]:
    """Labelled files of one half, the same ones for a seed."""
    rng = np.random.default_rng([seed, part == "test"])
    modules, texts = library_modules(part), iter(rng.permutation(np.array(real_prompts(part), dtype=object)))
    covered, uncovered, hard = (_endless(rng, forms) for forms in (FORMS, UNCOVERED, HARD))
    made = []
    for number in range(files):
        name, source = modules[int(rng.integers(len(modules)))]
        pieces = [(form, FORMS[form](str(next(texts))), True) for form in (next(covered) for _ in range(PROMPTS))]
        pieces += [(form, UNCOVERED[form](str(next(texts))), True) for form in (next(uncovered),)]
        if number % HARD_EVERY == 0:
            pieces += [(form, HARD[form](), False) for form in (next(hard),)]
        made.append(_written(f"{number}-{name}", source, [pieces[i] for i in rng.permutation(len(pieces))]))
    return tuple(made)


def _endless(rng: np.random.Generator, forms: dict[str, Callable[..., str]]):  # type: ignore[no-untyped-def]
    while True:
        yield from rng.permutation(list(forms)).tolist()


def _written(name: str, source: str, pieces: list[tuple[str, str, bool]]) -> LabelledFile:
    """The module with a function a piece behind it, and where each piece stands."""
    labels = []
    for number, (form, text, prompt) in enumerate(pieces):
        source += f"\n\ndef added_{number}(self, value, header):\n"
        first = source.count("\n") + 1
        source += text + "\n"
        labels.append(Label(first, source.count("\n"), form, prompt))
    ast.parse(source)
    return LabelledFile(name, source, tuple(labels))
