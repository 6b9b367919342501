"""Benchmarks, as ratios measured side by side in one run. Run them as modules: `python -m benchmarks.incontext`."""
