"""`harness lint`: files, suppression, selection, outputs, exit codes; and our own templates, which must be clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness.methods.linting import find
from harness.methods.linting.lint import chosen_rules, lint_paths
from harness.methods.promptset import PromptSet, claims
from harness.reports.claims.judge import judge
from harness.reports.claims.known import Known

from benchmarks import prompt_lint
from harness import catalog
from harness.claims import Arm, Share
from harness.cli import main
from harness.registry import tool

ROOT = Path(__file__).parents[3]
BAD = "prompt = 'Give an anwser: '\n"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.py"
    file.write_text(BAD)
    return file


def test_our_own_templates_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", *(str(ROOT / folder) for folder in ("tasks", "methods", "harness", "reports"))]) == 0, capsys.readouterr().out
    assert int(capsys.readouterr().out.split(" prompts in ")[0]) > 200, "prompts were found at all"


def test_text_and_exit_codes(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(bad)]) == 1
    out = capsys.readouterr().out
    assert f"{bad}:1:10: PS001 warning" in out and "PS003 warning: 'anwser' is misspelt; write 'answer'" in out
    assert out.splitlines()[-1] == "1 prompts in 1 files: 2 warnings"
    assert main(["lint", str(bad), "--fail-on", "error"]) == 0 and main(["lint", str(bad), "--ignore", "PS001,misspelling"]) == 0
    assert main(["lint", str(bad), "--select", "PS002"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.py"], "no such file"),
        ([], "needs a path"),
        (["--select", "PS9"], "unknown rule 'PS9'"),
        (["--format", "xml", "."], "unknown format 'xml'"),
        (["--fail-on", "eror", "."], "did you mean error"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


def test_a_file_that_is_neither_kind_is_bad_input_and_a_broken_one_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert main(["lint", str(tmp_path / "notes.txt")]) == 2
    (tmp_path / "broken.py").write_text("def f(:  # noqa\n")
    (tmp_path / "broken.yaml").write_text("task: [\n")
    assert main(["lint", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("PS000 error: cannot be read") == 2


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("prompt = 'Give an anwser: '  # noqa\n", []),
        ("prompt = 'Give an anwser: '  # noqa: PS003\n", ["PS001"]),
        ("prompt = 'Give an anwser: '  # noqa: E501, PS001\n", ["PS003"]),
        ("prompt = '''Give an anwser\nnow'''  # noqa: PS003\n", []),
        ("prompt = 'Give an anwser # noqa'\n", ["PS003"]),
        ("prompt = 'Give an answer: '\nother = 1  # noqa\n", ["PS001"]),
    ],
)
def test_comments_suppress(source: str, left: list[str], tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(source)
    linted = lint_paths([file], chosen_rules())
    assert [finding.rule for finding in linted.findings] == left


def test_comments_in_task_files(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("task: t\ntemplates:\n  a: 'an anwser {{ answer }}'  # noqa: PS003\n  b: 'one anwser {{ answer }}'\n")
    linted = lint_paths([file], chosen_rules())
    assert [(finding.rule, finding.line) for finding in linted.findings] == [("PS003", 4)] and linted.suppressed == 1


def test_formats_for_programs(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lint", str(bad), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in found["findings"]] == ["PS001", "PS003"]
    assert [finding["fixed"] for finding in found["findings"]] == ["Give an anwser:", "Give an answer: "]
    main(["lint", str(bad), "--format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} == {"PS001", "PS003"} <= known
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 10}
    main(["lint", str(bad), "--format", "github"])
    assert capsys.readouterr().out.startswith(f"::warning file={bad},line=1,col=10,title=PS001::the prompt ends with")


def test_it_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tools"]) == 0 and main(["show", "promptset"]) == 0 and main(["lint", "--rules"]) == 0
    out = capsys.readouterr().out
    assert "tool\tpromptset" in out and "harness lint PATH" in out and "PS009" in out
    assert catalog.load("tool", "promptset") is PromptSet


def test_the_page_lists_every_rule_and_detector() -> None:
    text = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    assert prompt_lint.rules_markdown() in text and prompt_lint.detectors_markdown() in text, "run python -m benchmarks.prompt_lint --page"
    assert set(find.DETECTORS) <= set(text.split())


@tool("coin", command="harness coin")
class Coin:
    """Right in 95, 80 or 50 of 100 cases."""

    measures = {"heads": lambda right=95, cases=100: __import__("numpy").arange(cases) < right}


@pytest.mark.parametrize(
    ("config", "bound", "against", "result"),
    [
        ({"right": 99}, 0.9, None, "holds"),
        ({"right": 92}, 0.9, None, "cannot show at this scale"),
        ({"right": 50}, 0.9, None, "does not hold"),
        ({"right": 99}, 1, None, "does not hold"),
        ({"right": 100}, 1, None, "holds"),
        ({"right": 95}, None, {"right": 50}, "holds"),
        ({"right": 50}, None, {"right": 95}, "does not hold"),
        ({"right": 50}, None, {"right": 50}, "cannot show at this scale"),
    ],
)
def test_shares_are_judged(config: dict[str, int], bound: float | None, against: dict[str, int] | None, result: str) -> None:
    other = Arm("coin", against) if against is not None else None
    claim = Share("s", "a share", arm=Arm("coin", config), measure="heads", at_least=bound, against=other)
    verdict = judge(Known("coin", None, claim))
    assert verdict.result == result and "of 100" in verdict.measured


def test_without_real_prompts_a_claim_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.methods.linting.corpus import real_prompts

    monkeypatch.setenv("HARNESS_TEST_DATA", str(tmp_path))
    real_prompts.cache_clear()
    verdict = judge(Known("promptset", None, claims[-1]))
    assert verdict.result == "not run" and "HARNESS_TEST_DATA" in verdict.reason
    real_prompts.cache_clear()
