"""From the command line to one verb, and from what went wrong to one line and an exit code.

Exit codes: 0 done, 1 some trials failed, 2 bad input, 130 interrupted. A verb is an ordinary function with Typer
annotations, or a `typer.Typer` with verbs of its own; it may return its exit code. HARNESS_DEBUG=1 shows tracebacks.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

from harness.cli.verbs import described, resolve
from harness.errors import InputError, UnsupportedError

PIPE_CLOSED = 141  # what a shell reports for a program that was ended by SIGPIPE
EVERYWHERE = "Everywhere: --entries PATH also finds methods, tasks and suites in a folder or file of yours."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except (InputError, UnsupportedError) as error:
        if os.environ.get("HARNESS_DEBUG", "") not in ("", "0"):
            raise
        print(f"harness: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as end:  # Typer and Rich take a closed pipe for exit code 1, which means failed trials here
        if isinstance(end.__context__, OSError) and end.__context__.errno == errno.EPIPE:
            return _pipe_closed()
        raise


def _pipe_closed() -> int:
    with contextlib.suppress(OSError, ValueError):  # else the interpreter complains when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _run(arguments: list[str]) -> int:
    arguments, paths = _entries_paths(arguments)
    if paths:
        from harness import catalog

        for path in paths:
            catalog.use(path)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"harness {version('adaptation-harness')}")
        return 0
    name, *rest = arguments
    if name.startswith("-"):
        near = difflib.get_close_matches(name, ("--help", "--version", "--entries"), n=1)
        raise InputError(f"no such option {name}", expected=f"did you mean {near[0]}?" if near else "see `harness --help`")
    return _call(name, resolve(name), rest)


def _entries_paths(arguments: list[str]) -> tuple[list[str], list[str]]:
    """`--entries PATH` may stand before or after the verb; what follows a lone `--` is left alone."""
    rest: list[str] = []
    paths: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            return [*rest, argument, *waiting], paths
        if argument == "--entries":
            path = next(waiting, None)
            if path is None:
                raise InputError("--entries needs a folder or file")
            paths.append(path)
        elif argument.startswith("--entries="):
            paths.append(argument.removeprefix("--entries="))
        else:
            rest.append(argument)
    return rest, paths


def _call(name: str, target: Any, arguments: list[str]) -> int:
    """Run a verb under Typer, without Rich markup: user text in a help or an error stays as it is."""
    import typer

    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=name, epilog=EVERYWHERE)
    else:
        app.command(name, epilog=EVERYWHERE)(target)
        app.callback()(lambda: None)  # makes it a group, so that the verb's name is part of every usage line
    # Typer carries its own copy of click, or click itself: UsageError has no public name that is the same in both.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = typer.main.get_command(app).main(args=[name, *arguments], prog_name="harness", standalone_mode=False)
    except usage_error as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.ctx.get_help(), file=sys.stderr)  # type: ignore[attr-defined]
            return 2
        raise InputError(_usage(error, f"harness {name}")) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _usage(error: Any, program: str) -> str:
    """One line for a wrong option or argument, with the nearest option where one was misspelt."""
    context = getattr(error, "ctx", None)
    program = getattr(context, "command_path", None) or program
    option = getattr(error, "option_name", None)
    message = error.format_message().rstrip(".")
    hint = f"see `{program} --help`"
    if option is not None and type(error).__name__ == "NoSuchOption" and context is not None:
        known = [
            name for parameter in context.command.params for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")
        ]
        near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
        message, hint = f"no such option {option}", f"did you mean {near[0]}?" if near else hint
    return f"{program.removeprefix('harness ')}: {message}; {hint}"


def _help() -> str:
    verbs = described()
    width = max(map(len, verbs)) + 2
    lines = [
        "Usage: harness VERB ...",
        "",
        "Which way of adapting a pretrained model is better, on what, at what cost, and how sure are we?",
        "",
        *(f"  {name:<{width}}{line}".rstrip() for name, line in verbs.items()),
        "",
        "`harness VERB --help` says what a verb takes. Exit codes: 0 done, 1 some trials failed, 2 bad input.",
        "Options: --help, --version, --entries PATH (also find methods, tasks and suites in a folder or file of yours).",
    ]
    return "\n".join(lines)
