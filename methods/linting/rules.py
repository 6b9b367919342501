"""The rules: each a number, a severity, a reason, an example of both kinds, and a check of one prompt or of one file's prompts.

PS001 to PS007 are PromptSet's analyses and the card's list; PS008 and PS009 are ours. No rule reads more than the text and what the
finder knows of its placeholders, so each says only what is visible without running the program.
"""

from __future__ import annotations

import re
import string
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .prompts import Finding, Prompt, Severity
from .words import FUNCTION_WORDS, MISSPELLINGS, SCRIPTS

UNREAD = "PS000"  # of a file that cannot be parsed; not a rule, and not to be suppressed
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
SPELT = re.compile(r"\b(?:" + "|".join(MISSPELLINGS) + r")\b", re.IGNORECASE)
URL = re.compile(r"\w+://\S+|[\w.]+@[\w.]+|`[^`]*`")
SPECIAL = re.compile(
    r"<\|[\w ./-]{1,40}\|>|\[/?INST\]|<</?SYS>>|\[(?:CLS|SEP|MASK|PAD|UNK)\]|</?s>|<(?:pad|unk|mask|bos|eos|start_of_turn|end_of_turn)>"
)
NAMED = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")
SMALLEST_SHARE = 0.2  # of the letters, that a second script must have
FEWEST_LETTERS = 10  # of a second script; one of Han or kana counts as three
FEWEST_WORDS = 3  # function words of its own by which a sentence shows its language

_JINJA = ImmutableSandboxedEnvironment()


class Issue(NamedTuple):
    message: str
    hint: str = ""
    fixed: str | None = None


@dataclass(frozen=True)
class Rule:
    """summary : one line.  why : what goes wrong otherwise.  bad, good : examples, Python or a task file (then `yaml`).

    check : issues of one prompt.  together : instead, (prompt, issue) pairs of all prompts of one file.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    why: str
    bad: str
    good: str
    check: Callable[[Prompt], Iterator[Issue]] | None = None
    together: Callable[[Sequence[Prompt]], Iterator[tuple[Prompt, Issue]]] | None = None
    yaml: bool = False


def edge_spaces(prompt: Prompt) -> Iterator[Issue]:
    text = prompt.text
    if not prompt.whole or not text.strip():
        return
    front, back = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    ends = [name for name, edge in (("begins", front.lstrip("\r\n")), ("ends", back.rstrip("\r\n"))) if edge.strip("\r\n")]
    if ends:
        yield Issue(f"the prompt {' and '.join(ends)} with white space", "strip it, or join the parts with a separator", fix_edges(text))


def placeholders(prompt: Prompt) -> Iterator[Issue]:
    if prompt.syntax == "format":
        yield from _format_fields(prompt)
    elif prompt.syntax == "jinja" and prompt.given is not None:
        for name in sorted((_jinja_names(prompt.text) or set()) - prompt.given):
            yield Issue(f"{{{{ {name} }}}} is no field of the task", f"it has {', '.join(sorted(prompt.given - {'answer_choices'}))}")
    elif prompt.syntax == "plain" and prompt.detector in ("completion-call", "chat-method"):
        for name in dict.fromkeys(NAMED.findall(prompt.text)):
            if name in prompt.known:
                yield Issue(f"{{{name}}} is sent as it stands, though the file assigns {name}", "make it an f-string, or call .format")


def _format_fields(prompt: Prompt) -> Iterator[Issue]:
    fields = format_fields(prompt.text)
    if fields is None or prompt.given is None:
        return
    named = {str(number) if name == "" else name for number, name in enumerate(fields)} if "" in fields else set(fields)
    for name in sorted(named - prompt.given):
        if name.isidentifier() or name.isdigit():  # what else stands in braces is PS007's
            yield Issue(f"{{{name}}} is never filled", f"give {name}, or write {{{{{name}}}}} for the braces themselves")
    for name in sorted(prompt.given - named):
        yield Issue(f"{name} is given, but the prompt has no {{{name}}}", f"use it or do not give {name}")


def format_fields(text: str) -> list[str] | None:
    """Names in the fields of a `str.format` text, "" for each automatic one; None where it does not parse."""
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError:
        return None
    return [re.split(r"[.\[]", name)[0] for name in found]


def _jinja_names(text: str) -> set[str] | None:
    try:
        return set(jinja2.meta.find_undeclared_variables(_JINJA.parse(text.replace("|||", " "))))
    except jinja2.TemplateSyntaxError:
        return None


def spelling(prompt: Prompt) -> Iterator[Issue]:
    for word in dict.fromkeys(found.group().lower() for found in SPELT.finditer(URL.sub(" ", prompt.prose))):
        yield Issue(f"{word!r} is misspelt", f"write {MISSPELLINGS[word]!r}", fix_spelling(prompt.text))


def languages(prompt: Prompt) -> Iterator[Issue]:
    prose = URL.sub(" ", prompt.prose)
    letters = {name: len(re.findall(f"[{ranges}]", prose)) * (3 if name.startswith("Han") else 1) for name, ranges in SCRIPTS.items()}
    total = sum(letters.values())
    many = [name for name, count in letters.items() if count >= FEWEST_LETTERS and count >= SMALLEST_SHARE * total]
    if len(many) > 1:
        yield Issue(f"letters of {' and '.join(many)} are mixed", "keep to one language, or suppress this where the task is to translate")
        return
    spoken = sorted({found for sentence in re.split(r"[.!?\n:;]+", prose) if (found := language(sentence)) is not None})
    if len(spoken) > 1:
        yield Issue(
            f"sentences in {' and '.join(spoken)} are mixed", "keep to one language, or suppress this where the task is to translate"
        )


def language(sentence: str) -> str | None:
    """The language whose function words a sentence has most of: at least three different ones, and two more than any other."""
    words = {word.lower() for word in WORD.findall(sentence)}
    counts = Counter({name: len(words & known) for name, known in FUNCTION_WORDS.items()}).most_common(2)
    (best, first), (_, second) = counts
    return best if first >= FEWEST_WORDS and first >= second + 2 else None


def special_tokens(prompt: Prompt) -> Iterator[Issue]:
    for token in dict.fromkeys(SPECIAL.findall(prompt.text)):
        yield Issue(f"{token} is a special token of some models, written as text", "leave it to the tokenizer or its chat template")


def empty_or_twice(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, Issue]]:
    seen: dict[object, int] = {}
    for prompt in prompts:
        text = " ".join(prompt.text.split())
        if not text:
            if prompt.detector in ("completion-call", "task-file"):
                yield prompt, Issue("the prompt is empty", "write it, or leave the argument out")
            continue
        first = seen.setdefault((text, prompt.within, prompt.answers), prompt.line)
        if first != prompt.line:
            yield prompt, Issue(f"the same prompt stands in line {first}", "give it a name and use that, so that both change together")


def braces(prompt: Prompt) -> Iterator[Issue]:
    if prompt.syntax == "jinja":
        try:
            _JINJA.parse(prompt.text.replace("|||", " "))
        except jinja2.TemplateSyntaxError as error:
            yield Issue(f"the template does not parse: {error.message}", "wrap literal braces in {% raw %}")
    elif prompt.syntax == "format":
        fields = format_fields(prompt.text)
        if fields is None:
            yield Issue("a brace stands alone in a text that `format` reads", "double it: {{ or }}")
            return
        for name in dict.fromkeys(fields):
            if name and not name.isidentifier() and not name.isdigit():
                yield Issue(f"format takes {{{textwrap.shorten(name, 30)}}} for a field", "double literal braces: {{ and }}")


def indentation(prompt: Prompt) -> Iterator[Issue]:
    if not prompt.indented:
        return
    lines = [line for line in prompt.text.split("\n")[1:] if line.strip()]
    if len(lines) > 1 and all(line.startswith((" " * 4, "\t")) for line in lines):
        yield Issue("the source's indentation is part of the prompt", "wrap it in textwrap.dedent", fix_indentation(prompt.text))


def label_words(prompt: Prompt) -> Iterator[Issue]:
    first: dict[str, str] = {}
    for label, word in prompt.answers:
        other = first.setdefault(word.strip(), label)
        if other != label:
            yield Issue(f"labels {other} and {label} have the same word {word!r}", "give each label a word of its own")


def fix_edges(text: str) -> str:
    """Without spaces and tabs at both ends; newlines there stay. Applying it again changes nothing.

    >>> fix_edges("  Answer: \\n")
    'Answer:\\n'
    """
    front, back = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return re.sub(r"[^\r\n]", "", front) + text.strip() + re.sub(r"[^\r\n]", "", back) if text.strip() else text


def fix_spelling(text: str) -> str:
    """With known misspellings corrected, capitals kept, placeholders and code left alone."""

    def corrected(found: re.Match[str]) -> str:
        word, right = found.group(), MISSPELLINGS[found.group().lower()]
        return right.upper() if word.isupper() and len(word) > 1 else right[0].upper() + right[1:] if word[0].isupper() else right

    parts = re.split(r"(\{[^{}]*\}|\{%.*?%\}|\w+://\S+|[\w.]+@[\w.]+|`[^`]*`)", text)
    return "".join(part if i % 2 else SPELT.sub(corrected, part) for i, part in enumerate(parts))


def fix_indentation(text: str) -> str:
    """Without the indentation that all lines after the first share."""
    first, newline, rest = text.partition("\n")
    return first + newline + textwrap.dedent(rest)


RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule(
            "PS001", "edge-space", "warning", "The prompt begins or ends with a space or tab.",
            "Tokenizers join a space to the word after it: a model that reads `Answer: ` must go on with a token it rarely saw there.",
            'prompt = f"Question: {question}\\nAnswer: "\n',
            'prompt = f"Question: {question}\\nAnswer:"\n',
            edge_spaces,
        ),
        Rule(
            "PS002", "placeholder", "error", "A placeholder is never filled, or a value is given that no placeholder takes.",
            "The model reads `{name}` itself, the program stops with a KeyError, or an input is silently left out.",
            'prompt = "Summarize {text} in one line.".format(txt=article)\n',
            'prompt = "Summarize {text} in one line.".format(text=article)\n',
            placeholders,
        ),
        Rule(
            "PS003", "misspelling", "warning", "A common misspelling, from a fixed list.",
            "Misspelt words break into rarer tokens and move the answer; they are nearly always unintended.",
            'prompt = "Give a short anwser to the question."\n',
            'prompt = "Give a short answer to the question."\n',
            spelling,
        ),
        Rule(
            "PS004", "mixed-languages", "info", "Two scripts, or sentences in two languages, stand in one prompt.",
            "The model may answer in either language. Right in a prompt for translation: suppress it there.",
            'prompt = "Answer the question for the user. Ответьте на вопрос пользователя."\n',
            'prompt = "Answer the question for the user. Answer it politely."\n',
            languages,
        ),
        Rule(
            "PS005", "special-token", "warning", "A special token of some model stands in the text.",
            "Written as text it binds the prompt to one family of models, is split into pieces by the others, and may stand there twice.",
            'prompt = f"<|user|> Name a city in {country}. <|assistant|>"\n',
            'prompt = f"Name a city in {country}."\n',
            special_tokens,
        ),
        Rule(
            "PS006", "empty-or-duplicate", "warning", "The prompt is empty, or stands twice in one function, class or task file (of a task: with the same label words).",
            "Of two copies one is changed and the other forgotten; of two equal templates one adds no information to a comparison.",
            'first_prompt = "Name three rivers."\nsecond_prompt = "Name three  rivers."\n',
            'first_prompt = "Name three rivers."\nsecond_prompt = "Name three lakes."\n',
            together=empty_or_twice,
        ),
        Rule(
            "PS007", "braces", "error", "Literal braces are not escaped for the engine that fills the template.",
            "`format` and Jinja read them as placeholders, so the program stops or the text changes.",
            'prompt = PromptTemplate.from_template(\'Answer as {"city": ...} about {country}.\')\n',
            'prompt = PromptTemplate.from_template(\'Answer as {{"city": ...}} about {country}.\')\n',
            braces,
        ),
        Rule(
            "PS008", "indentation", "info", "A triple-quoted prompt carries the source's indentation.",
            "Every line is sent with leading spaces: tokens that cost and mean nothing.",
            'def ask():\n    prompt = """Name a city.\n    It must be in Peru.\n    Say no more."""\n    return prompt\n',
            'def ask():\n    prompt = dedent("""\\\n    Name a city.\n    It must be in Peru.""")\n    return prompt\n',
            indentation,
        ),
        Rule(
            "PS009", "label-words", "error", "Two labels of a task have the same word.",
            "Their scores are always equal, so one of them can never be the answer.",
            'task: x\ntemplates:\n  a: {text: "{{ s }} {{ answer }}", answers: {bad: no, mixed: no, good: yes}}\n',
            'task: x\ntemplates:\n  a: {text: "{{ s }} {{ answer }}", answers: {bad: no, mixed: so, good: yes}}\n',
            label_words,
            yaml=True,
        ),
    )
}  # fmt: skip


def check(prompts: Sequence[Prompt], rules: Sequence[Rule]) -> Iterator[Finding]:
    """What the rules say of the prompts of one file."""
    for rule in rules:
        issues = (
            rule.together(prompts)
            if rule.together is not None
            else ((prompt, issue) for prompt in prompts for issue in (rule.check(prompt) if rule.check is not None else ()))
        )
        for prompt, issue in issues:
            yield Finding(rule.code, rule.severity, prompt.file, prompt.line, prompt.column, issue.message, issue.hint, issue.fixed)
