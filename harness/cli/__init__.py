"""The `harness` command. One file per verb; a verb's file is imported only when it is called."""

from harness.cli.dispatch import main

__all__ = ["main"]
