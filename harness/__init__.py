"""Which way of adapting a pretrained model is better, on what, at what cost, and how sure are we?

The API (`load_suite`, `plan`, `run`, `load_results`, `predict`) is loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import load_results, load_suite, plan, predict, run, run_session

__all__ = ["load_results", "load_suite", "plan", "predict", "run", "run_session"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import harness.api

        return getattr(harness.api, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
