"""`harness plan` of a suite of 10,000 trials: goal under 3 seconds in the process, with warm digests of rows.

    python -m benchmarks.planning [--seeds 100]

Ten methods on ten tasks of the world with one backbone; the same with fewer seeds and more points; and with tuned methods.
The first row makes the tasks' rows to digest them, where the cache folder does not know them yet.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

GOAL = 3.0  # seconds
METHODS = (
    *("majority", "zero-shot", "in-context", "linear-probe", "knn", "prompt-tuning", "prefix-tuning", "lora", "bitfit"),
    "full-fine-tuning",
)
TASKS = (
    *("world-sentiment", "world-topic", "world-entailment", "world-acceptability", "world-subjectivity", "world-question"),
    *("world-paraphrase", "world-word-in-context", "world-relation", "world-reading"),
)


def tiny_backbone(folder: Path) -> Path:
    """A random masked LM in hub format: planning reads its configuration and digests its weights."""
    import transformers
    from harness.tasks.world import tokenizer

    transformers.utils.logging.disable_progress_bar()
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=tokenizer.SIZE, **shape)).save_pretrained(folder)
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.build("masked"), **special).save_pretrained(folder)
    return folder


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=100)
    seeds = options.parse_args().seeds
    from harness import api, catalog
    from harness.suite import Suite

    known = {found.name for found in catalog.entries("task")}
    tasks = [name for name in TASKS if name in known]
    with tempfile.TemporaryDirectory() as folder:
        base = {"suite": "large", "question": "How long does planning take?", "backbones": str(tiny_backbone(Path(folder))), "tasks": tasks}
        grid = [{"name": name} for name in METHODS]
        tuned = [{"name": name, "tune": 20} for name in ("prompt-tuning", "lora", "bitfit", "full-fine-tuning", "prefix-tuning")]
        suites = {
            "first time": {**base, "methods": grid, "seeds": seeds},
            f"{seeds} seeds": {**base, "methods": grid, "seeds": seeds},
            f"{seeds // 10} seeds, ten times the points": {**base, "methods": grid, "seeds": seeds // 10, "shots": list(range(1, 11))},
            "5 methods tuned, 20 tries": {**base, "methods": tuned, "seeds": seeds, "dev": 16, "tuning_seeds": list(range(1000, 1005))},
        }
        print(f"{'suite':40} {'trials':>7} {'seconds':>8} {'of the CPU':>10}  goal {GOAL:g} s on an idle machine")
        for name, keys in suites.items():
            suite = Suite.model_validate(keys)
            wall, cpu = time.perf_counter(), time.process_time()
            plan = api.plan(suite, device="cpu")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            verdict = "" if name == "first time" else "met" if cpu < GOAL else f"missed, {cpu / GOAL:.1f} x"
            print(f"{name:40} {len(plan.trials()):7d} {wall:8.2f} {cpu:10.2f}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
