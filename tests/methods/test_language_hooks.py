"""Language hooks with a scripted writer in the model's place, so that every branch is walked; with real models, that it is plain
generation without hooks; and the tasks that are asked with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from harness.methods.hooks.calculator import Calculator
from harness.methods.hooks.guardrail import Guardrail, options
from harness.methods.hooks.hook import Context, Hook, Switchboard, split
from harness.methods.hooks.loop import Answer, Draft, after_the_answer, between_sentences
from harness.methods.hooks.retriever import Retriever
from harness.methods.language_hooks import LanguageHooks
from harness.tasks.world_tools import WorldKnowledge, WorldSums, WorldWealth, fact, group, kept, knowledge, people
from hypothesis import given
from hypothesis import strategies as st

from harness import catalog
from harness.backbones.backbone import Backbone
from harness.errors import InputError
from harness.predictions import Predictions

from .bench import ready
from .conftest import SmallTask

FACTS = ("anna leo lives near the park.", "leo anna lives near the school.", "anna leo has 14 coins.")
FIRST = "the answer is the first."
HOOKS: tuple[Hook, ...] = (Calculator(), Retriever(FACTS), Guardrail(lambda text, choices: choices[0]))
SENTENCES = st.lists(
    st.sampled_from(
        ["2 + 2 = 5.", "2 + 2 = 4.", "1.5 * 3 = 4.", "4 / 0 = 1.", "anna leo lives near the lake.", "the answer is unknown.", "nobody knows.", FIRST]
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


class Script:
    """A writer that goes on as its script says for what stands last, and counts one token a word."""

    def __init__(self, script: dict[str, str], *, otherwise: str = FIRST) -> None:
        self.script, self.otherwise = script, otherwise
        self.asked: list[str] = []

    def __call__(self, contexts: Sequence[str], left: Sequence[int]) -> list[Draft]:
        self.asked += contexts
        found = [next((after for end, after in self.script.items() if context.endswith(end)), self.otherwise) for context in contexts]
        return [Draft(" ".join(text.split()[:room]), len(text.split()), "end") for text, room in zip(found, left)]


def answer(
    script: dict[str, str], *hooks: Hook, prompt: str = "question: x?", loop: Callable[..., None] = between_sentences, room: int = 60
) -> Answer:
    made = Answer(Context(prompt), Switchboard(hooks, threshold=0.5, calls=4, offers=("knowledge",)))
    loop([made], Script(script), room=room, count=lambda text: len(text.split()))
    return made


def test_a_corrected_step_changes_what_follows() -> None:
    """The mechanism: the next step is written from the corrected text, which tools after the whole answer cannot do."""
    script = {"x?": "14 + 27 = 31. 31 - 3 = 28. the answer is 28.", "= 41.": "41 - 3 = 38. the answer is 38.", "= 28.": "the answer is 28."}
    hooked = answer(script, Calculator())
    assert hooked.text == "14 + 27 = 41. 41 - 3 = 38. the answer is 38." and hooked.rewrites == 1
    (event,) = hooked.hooks.trace
    assert (event.sentence, event.hook, event.before, event.after) == (1, "calculator", "14 + 27 = 31.", "14 + 27 = 41.")
    late = answer(script, Calculator(), loop=after_the_answer)
    assert late.text == "14 + 27 = 41. 31 - 3 = 28. the answer is 28.", "the second step still starts from the wrong first one"


def test_a_tool_after_the_answer_changes_the_conclusion() -> None:
    script = {"x?": "14 + 27 = 31. the answer is 31.", "= 41.": "the answer is 41. more."}
    assert answer(script, Calculator(), loop=after_the_answer).text == "14 + 27 = 41. the answer is 41."


def test_two_hooks_work_on_one_answer() -> None:
    script = {
        "x?": "anna leo has 20 coins. 20 + 1 = 20. the answer is 20.",
        "14 coins.": "14 + 1 = 20. the answer is 20.",
        "= 15.": "the answer is 15.",
    }
    assert answer(script, *HOOKS).text == "anna leo has 14 coins. 14 + 1 = 15. the answer is 15."


def test_a_declined_answer_becomes_a_guess() -> None:
    declined = {"park.": "nobody knows. the answer is unknown."}
    hooked = answer(declined, *HOOKS, prompt="question: where? options: school, park.")
    assert hooked.text == "nobody knows. the answer is school."
    assert answer({"x?": "the answer is unknown."}, *HOOKS).text == "the answer is unknown.", "no options, no guess"


@given(SENTENCES)
def test_without_hooks_the_text_is_as_written(sentences: list[str]) -> None:
    text = "  ".join(sentences) + " "
    plain = answer({"x?": text})
    assert plain.text == " ".join(text.split()) and not plain.hooks.trace and plain.tokens == len(text.split())


@given(SENTENCES)
def test_hooks_do_nothing_to_what_they_left(sentences: list[str]) -> None:
    """A hook on its own output does nothing, and a prompt is never changed."""
    settled = answer({"x?": " ".join(sentences)}, *HOOKS, prompt="question: x?")
    again = answer({"x?": settled.text}, *HOOKS)
    assert again.text == settled.text and not again.hooks.trace
    assert settled.context.prompt == "question: x?"


class Restless(Hook):
    """Always triggers and always changes the sentence."""

    name = "restless"

    def advantage(self, context: Context) -> float:
        return 1.0

    def run(self, context: Context) -> Context:
        return context.with_last(f"{context.last} more")


@given(SENTENCES, st.integers(1, 5))
def test_it_ends_within_the_calls(sentences: list[str], calls: int) -> None:
    made = Answer(Context("x?"), Switchboard([Restless()], threshold=0.5, calls=calls))
    between_sentences([made], Script({"x?": " ".join(sentences)}), room=60, count=lambda text: len(text.split()))
    assert len(made.hooks.trace) <= calls and made.rewrites <= calls


def test_room_for_an_answer_is_kept() -> None:
    hooked = answer({"x?": "2 + 2 = 5. and so on.", "= 4.": "one two three four five six."}, Calculator(), room=8)
    assert hooked.text == "2 + 2 = 4. one two three" and len(hooked.text.split()) == 8


def test_the_surest_trigger_wins_and_order_breaks_ties() -> None:
    class Sure(Restless):
        def __init__(self, name: str, sure: float) -> None:
            self.name, self.sure = name, sure

        def advantage(self, context: Context) -> float:
            return self.sure

    def first(*hooks: Hook) -> str:
        board = Switchboard(hooks, threshold=0.5, calls=1)
        board.step(Context("x?", ("one.",)))
        return board.trace[0].hook if board.trace else "none"

    assert first(Sure("a", 0.6), Sure("b", 0.9)) == "b" and first(Sure("a", 0.9), Sure("b", 0.9)) == "a"
    assert first(Sure("a", 0.4)) == "none"


def test_a_program_may_change_the_last_sentence_alone() -> None:
    class Rewriter(Restless):
        def run(self, context: Context) -> Context:
            return Context(context.prompt, ("other.", *context.sentences[1:]))

    with pytest.raises(ValueError, match="more than the last sentence"):
        Switchboard([Rewriter()], threshold=0.5, calls=1).step(Context("x?", ("one.", "two.")))


def test_a_hook_without_what_it_needs_is_not_eligible() -> None:
    board = Switchboard([Retriever(FACTS)], threshold=0.5, calls=4)
    assert board.step(Context("x?", ("anna leo lives near the lake.",))) is None


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("14 + 27 = 31.", "14 + 27 = 41."),
        ("1.5 * 3 = 4.", "1.5 * 3 = 4.5."),
        ("6 x 7 = 42.", "6 x 7 = 42."),
        ("3 - 5 = 2.", "3 - 5 = -2."),
        ("1 / 3 = 0.", "1 / 3 = 0.3333."),
        ("4 / 0 = 1.", "4 / 0 = 1."),
        ("2 + 2 = 4.0.", "2 + 2 = 4.0."),
        ("two and two are five.", "two and two are five."),
    ],
)
def test_the_calculator(written: str, right: str) -> None:
    context = Context("x?", (written,))
    assert Calculator().run(context).last == right
    assert Calculator().advantage(context) == float(written != right)


def test_the_retriever_keeps_names_in_order() -> None:
    retriever = Retriever(FACTS)
    assert retriever.run(Context("x?", ("leo anna lives near the lake.",))).last == FACTS[1]
    assert retriever.advantage(Context("x?", (FACTS[0],))) == 0.0 and retriever.advantage(Context("x?", ("2 + 2 = 5.",))) == 0.0
    everything = Retriever(knowledge())
    for person in list(people())[::41]:  # a wrong place must not lead to somebody else of that place
        for place in ("park", "museum"):
            assert everything.nearest(f"{person} lives near the {place}.")[1] == fact(person, "place")
    assert all(everything.nearest(sentence)[1] == sentence for sentence in knowledge()[::97])


def test_a_wrong_number_does_not_lead_to_whoever_has_as_many() -> None:
    """A number is rarer than a name: were it matched, the number in doubt would stay and the person would be exchanged."""
    everything = Retriever(knowledge())
    for person, facts in list(people().items())[::41]:
        for said in {facts.coins, facts.coins % 48 + 3, 7, 31}:
            share, evidence = everything.nearest(f"{person} has {said} coins.")
            assert evidence == fact(person, "coins") and share >= 0.5
    assert Retriever(FACTS).run(Context("x?", ("anna leo has 20 coins.",))).last == FACTS[2]


def test_numbers_decide_between_evidence_that_is_equal_otherwise() -> None:
    years = Retriever(("in 1990 anna had 3 coins.", "in 1991 anna had 5 coins.", "leo lives near the park."))
    assert years.run(Context("x?", ("in 1991 anna had 4 coins.",))).last == "in 1991 anna had 5 coins."
    assert years.advantage(Context("x?", ("in 1991 anna had 5 coins.",))) == 0.0, "what the knowledge says needs nothing"


def test_sentences_are_not_cut_at_decimals() -> None:
    assert split("1.5 + 2 = 3.5. yes! no?\nso 4.25 it is") == ["1.5 + 2 = 3.5.", "yes!", "no?", "so 4.25 it is"]
    assert options("options: a, b. question: c? options: red hat, lamp.") == ["red hat", "lamp"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_hooks_is_plain_generation(
    temperature: float, backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]
) -> None:
    backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["generation"])
    examples = [row.example for row in data.test]
    plain = LanguageHooks(hooks=[], temperature=temperature).adapt(backbone, data, run).predict(examples)
    prompts = [data.task.templates["plain"].render(example.inputs).before for example in examples]
    rng = run.rng("noise", "language-hooks", 0)
    wanted = backbone.generate(prompts, max_new_tokens=data.task.max_new_tokens, stops=data.task.stops, temperature=temperature, rng=rng)
    assert plain.raw_texts == tuple(item.text for item in wanted) and plain.tokens == tuple(item.tokens for item in wanted)
    if temperature == 0.0:
        zero = catalog.load("method", "zero-shot")().adapt(backbone, data, run).predict(examples)
        assert plain.texts == zero.texts


def test_the_prompt_is_the_same_for_every_set_of_hooks(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> None:
    def prompts(*hooks: str) -> Predictions:
        backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["generation"])
        return LanguageHooks(hooks=list(hooks)).adapt(backbone, data, run).predict([row.example for row in data.test])

    assert prompts().prompts == prompts("calculator", "retriever", "guardrail").prompts


def test_what_programs_did_and_cost_is_kept(
    backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens thrown away are counted, and so are the model's calls."""
    backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["generation"])
    examples = [row.example for row in data.test]
    LanguageHooks(hooks=[]).adapt(backbone, data, run).predict(examples)
    plain = run.meter.forward_calls
    monkeypatch.setattr(Calculator, "advantage", lambda self, context: float(len(context.sentences) == 1))
    monkeypatch.setattr(Calculator, "run", lambda self, context: context.with_last("yes."))
    found = LanguageHooks(hooks=["calculator"], calls=1).adapt(backbone, data, run).predict(examples)
    assert run.notes["hook_calls"]["calculator"] > 0 and run.meter.forward_calls - plain >= plain
    assert found.tokens is not None and all(text.startswith("yes.") for text in found.raw_texts or () if text)


def test_unknown_hooks_are_bad_input(backbone_of: Callable[[str], Backbone], small_tasks: dict[str, SmallTask]) -> None:
    backbone, data, run = ready(backbone_of("causal_lm"), small_tasks["generation"])
    with pytest.raises(InputError, match="did you mean calculator"):
        LanguageHooks(hooks=["calculater"]).adapt(backbone, data, run)


@pytest.mark.parametrize("cls", [WorldSums, WorldKnowledge, WorldWealth])
def test_the_steps_of_the_tasks_lead_to_the_answer(cls: type[WorldSums]) -> None:
    """Written as it should be, an answer gives no hook anything to do, and its filter finds the gold."""
    from harness.tasks.world.meaning import Sampler

    from harness.text import filtered

    task = cls()
    problems = task.problems(Sampler(np.random.default_rng(5)))
    for question, steps, gold in (next(problems) for _ in range(50)):
        text = f"{' '.join(steps)} the answer is {gold}."
        assert filtered(text, task.answer_filter) == gold
        board = [Calculator(), Retriever(task.knowledge)] if task.knowledge else [Calculator()]
        assert not answer({question: text}, *board, prompt=question).hooks.trace


def test_the_people_are_the_same_everywhere_and_of_three_groups() -> None:
    groups = [group(person) for person in people()]
    assert len(groups) == 24 * 23 and {"known", "declined", "unread"} == set(groups)
    assert fact("anna ben", "coins") == f"anna ben has {people()['anna ben'].coins} coins." and len(set(knowledge())) == 3 * 24 * 23


def test_the_step_writer_reads_no_question_of_the_tasks_and_no_hidden_fact() -> None:
    """Questions of the tasks are kept apart whatever a task's version: new test rows need no new writer."""
    from harness.methods.tiny_step_writer import Steps
    from harness.tasks.world.meaning import Sampler

    source, sampler = Steps(), Sampler(np.random.default_rng(3))
    for task in source.tasks:
        assert all(kept(row.inputs["question"]) for row in [*task.pool(), *task.test()])
    for _ in range(300):
        (question, told, _), _ = source(sampler)
        assert not kept(question.text.removeprefix("question: ").removesuffix(" answer:"))
        assert all(group(" ".join(part.split()[:2])) == "known" for part in split(told.text) if part in set(knowledge()))


def test_kept_questions_are_about_people_of_every_group() -> None:
    """What keeps a question apart has nothing to do with what the writer knows of its people."""
    asked = [" ".join(row.inputs["question"].split()[:2]) for row in WorldKnowledge().pool()]
    shares = {name: sum(group(person) == name for person in asked) / len(asked) for name in ("known", "declined", "unread")}
    assert shares == pytest.approx({"known": 0.5, "declined": 0.25, "unread": 0.25}, abs=0.08)


def test_the_shipped_step_writer_writes_steps() -> None:
    folder = Path(__file__).parents[2] / "harness" / "backbones" / "shipped" / "tiny-step-writer"
    if not folder.is_dir():
        pytest.skip("tiny-step-writer is not shipped here")
    from harness.backbones.load import load

    task = WorldSums()
    prompts = [task.templates["steps"].render(row.inputs).before for row in task.pool()[:20]]
    texts = [item.text for item in load("tiny-step-writer").generate(prompts, max_new_tokens=40, stops=("\n",))]
    assert sum("the answer is" in text and " = " in text for text in texts) >= 18


def test_what_a_hook_does_is_part_of_the_run_key() -> None:
    from harness.identity import _with_neighbours

    methods = Path(__file__).parents[2] / "methods"
    read = {file.name for file in _with_neighbours(methods / "language_hooks.py", "harness.methods")}
    assert {"language_hooks.py", "calculator.py", "retriever.py", "guardrail.py", "hook.py", "loop.py"} <= read
