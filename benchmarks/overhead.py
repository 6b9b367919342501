"""What the harness itself costs per trial: a trial of prompt-based fine-tuning against the bare loop of the same steps, in one process.

    python -m benchmarks.overhead [--steps 100] [--repeats 3] [--width 64]

The bare loop does what a trial must: tokenise and train on the same batches with AdamW, score dev as often and test once.
What a trial does beside that (drawing rows, counting FLOPs once a shape, records, digests, the store) is the overhead. It is
mostly fixed, so the share that counts is the one at 30 seconds: (trial - loop) / 30, in CPU seconds, so that a busy machine shows the same. Goal: under 5 %.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL, LENGTH = 0.05, 30.0  # share of a trial of so many seconds


def backbone(folder: Path, width: int) -> Path:
    """A random masked LM in hub format."""
    import transformers
    from harness.tasks.world import tokenizer

    transformers.utils.logging.disable_progress_bar()
    shape = {"hidden_size": width, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 4 * width}
    transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=tokenizer.SIZE, **shape)).save_pretrained(folder)
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.build("masked"), **special).save_pretrained(folder)
    return folder


def bare(trial: Any, steps: int) -> tuple[float, float]:
    """CPU seconds and last loss of the loop alone, on the trial's rows and batches."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    from harness.execute import data_of, method_of, task_of
    from harness.seeds import Streams

    streams = Streams(trial.seeds)
    task, method = task_of(trial), method_of(trial)
    data = data_of(trial, task, streams)
    template = task.templates[trial.template]
    tokenizer = AutoTokenizer.from_pretrained(trial.backbone["folder"])
    trained = AutoModelForMaskedLM.from_pretrained(trial.backbone["folder"])
    words = [
        tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in template.render(data.train[0].inputs, task.labels).answers
    ]

    def scores(rows: Any) -> torch.Tensor:
        texts = [template.render(row.inputs, task.labels).filled(tokenizer.mask_token) for row in rows]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        logits = trained(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits[batch["input_ids"] == tokenizer.mask_token_id][:, words]

    def answer(rows: Any) -> None:
        trained.eval()
        with torch.no_grad():
            for i in range(0, len(rows), 32):
                scores(rows[i : i + 32])

    start = time.process_time()
    optimiser = torch.optim.AdamW(trained.parameters(), lr=method.learning_rate, weight_decay=method.weight_decay)
    rng, order, loss = streams.rng("order"), [], torch.zeros(())
    for number in range(1, steps + 1):
        if not order:
            order = [data.train[i] for i in rng.permutation(len(data.train))]
        rows, order = order[: method.batch_size], order[method.batch_size :]
        trained.train()
        loss = torch.nn.functional.cross_entropy(scores(rows), torch.tensor([row.target for row in rows]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        if number % max(1, steps // 5) == 0:
            answer(data.dev)
    answer(data.dev)
    answer(data.test)
    return time.process_time() - start, float(loss.detach())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--width", type=int, default=64)
    chosen = options.parse_args()
    import torch

    from harness import api
    from harness.executors.job import Job, Settings, run_job
    from harness.store import Store
    from harness.suite import Suite

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = backbone(Path(folder) / "backbone", chosen.width)
        keys = {"backbones": str(place), "methods": ["prompt-based-fine-tuning"], "tasks": ["world-sentiment"], "dev": 16, "test_rows": 300}
        suite = Suite.model_validate(
            {"suite": "overhead", "question": "?", **keys, "seeds": chosen.repeats + 1, "budget": {"steps": chosen.steps}}
        )
        plan = api.plan(suite, device="cpu")
        Store(Path(folder) / "store")
        settings = Settings(str(Path(folder) / "store"))
        trials, loops = [], []
        for cell in plan.cells:
            gc.collect()
            start = time.process_time()
            done = run_job(Job(cell.run_key, cell.trial, plan.depends[cell.run_key]), settings)
            trials.append(time.process_time() - start)
            assert done.status == "ok", done.reason
            loops.append(bare(cell.trial, chosen.steps)[0])
        trial, loop = (sorted(times[1:])[(len(times) - 1) // 2] for times in (trials, loops))  # the first ones pay for imports and caches
        share = (trial - loop) / LENGTH
        print(f"{'width':>6} {'steps':>6} {'trial s':>8} {'loop s':>8} {'ratio':>6} {'share at 30 s':>14}  goal {GOAL:.0%}")
        print(
            f"{chosen.width:6d} {chosen.steps:6d} {trial:8.2f} {loop:8.2f} {trial / loop:6.2f} {share:14.1%}  {'met' if share < GOAL else 'missed'}"
        )


if __name__ == "__main__":
    main()
