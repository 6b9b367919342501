"""In-context label scoring behind shared demonstrations, against lm-evaluation-harness on the same model, prompts and labels.

    python -m benchmarks.incontext                  300 items, one-token and multi-token labels, the whole process too
    python -m benchmarks.incontext --items 40 --runs 1 --no-whole      a quick look

A random GPT-2 of 10M parameters (width 288, 8 layers, vocabulary 8192) reads prompts of about 600 tokens: 8 demonstrations that all
items share, and about 57 tokens of an item's own. The peer runs at the best of the batch sizes given. Each measurement is a process of
its own with one thread; CPU seconds are what to trust on a machine that others use.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LABELS = {
    "short": ["A", "B", "C", "D"],
    "long": ["news of the wide world", "sports and games of teams", "money and trade of firms", "science of things and stars"],
}
DEMONSTRATIONS = 8
TEMPLATE = "Text: {text}\nTopic:"


def build(folder: Path, items: int) -> None:
    """The model, the tokenizer, the rows, and the peer's task files."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rng = np.random.default_rng(5)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ol", "ist", "um")]
    words = ["".join(rng.choice(syllables, size=rng.integers(1, 4))) for _ in range(4000)]

    def text(low: int, high: int) -> str:
        return " ".join(rng.choice(words, size=rng.integers(low, high))) + "."

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    corpus = [TEMPLATE.format(text=text(30, 60)) + " " + label for _ in range(80) for label in LABELS["long"] + LABELS["short"]]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=8192, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False)
    )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    fast.save_pretrained(folder / "model")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_embd=288, n_layer=8, n_head=6, vocab_size=8192, n_positions=1024, initializer_range=0.08, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder / "model")
    demonstrations = [{"text": text(57, 66), "label": int(i % 4)} for i in range(DEMONSTRATIONS)]
    rows = [{"text": text(38, 66), "label": int(rng.integers(4))} for _ in range(items)]
    for name, part in (("train", demonstrations), ("test", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    (folder / "tasks").mkdir()
    for name, labels in LABELS.items():
        (folder / "tasks" / f"topics_{name}.yaml").write_text(_task(folder, name, labels))


def _task(folder: Path, name: str, labels: list[str]) -> str:
    return f"""task: topics_{name}
dataset_path: json
dataset_kwargs:
  data_files:
    train: {folder}/train.jsonl
    test: {folder}/test.jsonl
output_type: multiple_choice
fewshot_split: train
test_split: test
doc_to_text: "Text: {{{{text}}}}\\nTopic:"
doc_to_choice: {json.dumps(labels)}
doc_to_target: label
num_fewshot: {DEMONSTRATIONS}
fewshot_config:
  sampler: first_n
metric_list:
  - metric: acc
metadata:
  version: 1
"""


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def prefix_of(folder: Path, labels: list[str]) -> str:
    return "".join(f"{TEMPLATE.format(text=row['text'])} {labels[row['label']]}\n\n" for row in rows_of(folder, "train"))


def ours(folder: Path, kind: str, flops: bool) -> dict[str, Any]:
    """Load, tokenise and score with the harness."""
    import torch

    from harness.backbones.load import load
    from harness.backbones.scoring import shared_prefix_scores
    from harness.costs import flop_counter
    from harness.templates import Rendered

    backbone = load({"folder": str(folder / "model")})
    labels = LABELS[kind]
    rendered = [Rendered(TEMPLATE.format(text=row["text"]), " ", "", tuple(labels)) for row in rows_of(folder, "test")]
    prefix = prefix_of(folder, labels)
    start, wall = time.process_time(), time.perf_counter()
    scores = shared_prefix_scores(backbone, prefix, rendered)
    result = {"cpu": time.process_time() - start, "wall": time.perf_counter() - wall, "scores": scores.tolist()}
    if flops:
        with flop_counter() as counter:
            shared_prefix_scores(backbone, prefix, rendered)
        lengths = [len(backbone.encoding.pieces(prefix + item.before)) for item in rendered]
        result |= {"flops": counter.get_total_flops(), "peak": matmul_peak(torch), "prompt_tokens": [min(lengths), max(lengths)]}
        result["parameters"] = backbone.parameter_count()
    return result


def matmul_peak(torch: Any) -> float:
    """Floating point operations a CPU second of the best square fp32 matrix product."""
    best = 0.0
    for size in (256, 512, 1024, 2048):
        a, b = torch.randn(size, size), torch.randn(size, size)
        for _ in range(3):
            a @ b
        start, runs = time.process_time(), 0
        while (spent := time.process_time() - start) < 0.6:
            a @ b
            runs += 1
        best = max(best, 2 * size**3 * runs / spent)
    return best


def peer(folder: Path, kind: str, batch: int) -> dict[str, Any]:
    """The same by lm-evaluation-harness: `simple_evaluate` with model and task manager made before the clock starts."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=str(folder / "model"), dtype="float32", device="cpu", batch_size=batch)
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    start, wall = time.process_time(), time.perf_counter()
    found = simple_evaluate(model, tasks=[f"topics_{kind}"], task_manager=manager, log_samples=True, random_seed=0, bootstrap_iters=0)
    spent = {"cpu": time.process_time() - start, "wall": time.perf_counter() - wall}
    samples = sorted(found["samples"][f"topics_{kind}"], key=lambda sample: sample["doc_id"])
    prompts = [sample["arguments"][0][0] for sample in samples]
    labels = LABELS[kind]
    expected = [prefix_of(folder, labels) + TEMPLATE.format(text=row["text"]) for row in rows_of(folder, "test")]
    return {**spent, "scores": [[pair[0] for pair in sample["filtered_resps"]] for sample in samples], "same_prompts": prompts == expected}


def child(arguments: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process of its own, start-up and imports included."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-P", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - wall


def measured(folder: Path, role: str, kind: str, batch: int = 0, runs: int = 1) -> dict[str, Any]:
    """The run of median CPU time, with the whole process's seconds beside it."""
    found = []
    for _ in range(runs):
        out = folder / "out.json"
        cpu, wall = child([__file__, "--role", role, "--folder", str(folder), "--kind", kind, "--batch", str(batch), "--out", str(out)])
        found.append({**json.loads(out.read_text()), "process_cpu": cpu, "process_wall": wall})
    found.sort(key=lambda run: float(run["cpu"]))
    return {**found[(runs - 1) // 2], "all": [round(run["cpu"], 2) for run in found]}


def compare(folder: Path, kind: str, batches: list[int], runs: int, peer_runs: int) -> dict[str, Any]:
    mine = measured(folder, "ours-flops", kind) | measured(folder, "ours", kind, runs=runs)
    report: dict[str, Any] = {
        "labels": kind,
        "our CPU s": round(mine["cpu"], 2),
        "our runs": mine["all"],
        "our wall s": round(mine["wall"], 2),
        "GFLOP": round(mine["flops"] / 1e9),
        "matmul peak GFLOP/s": round(mine["peak"] / 1e9, 1),
        "share of the FLOP limit": round(mine["flops"] / mine["cpu"] / mine["peak"], 2),
        "prompt tokens": mine["prompt_tokens"],
    }
    if batches:
        theirs = {batch: measured(folder, "peer", kind, batch) for batch in batches}
        best = min(theirs, key=lambda batch: float(theirs[batch]["cpu"]))
        if peer_runs > 1:
            theirs[best] = measured(folder, "peer", kind, best, runs=peer_runs)
        if not theirs[best]["same_prompts"]:
            raise SystemExit("the peer did not score the same prompts")
        difference = float(np.abs(np.array(mine["scores"]) - np.array(theirs[best]["scores"])).max())
        report |= {
            "peer CPU s by batch size": {batch: round(run["cpu"], 1) for batch, run in theirs.items()},
            "peer wall s": round(theirs[best]["wall"], 1),
            "CPU ratio": round(theirs[best]["cpu"] / mine["cpu"], 1),
            "largest score difference": difference,
            "best batch": best,
        }
    return report


def whole_process(folder: Path, kind: str, batch: int, runs: int, peer_runs: int) -> dict[str, Any]:
    """From the shell and back: the peer by its command line, ours with imports, load and scoring."""
    out = str(folder / "whole.json")
    mine = [child([__file__, "--role", "ours", "--folder", str(folder), "--kind", kind, "--out", out]) for _ in range(runs)]
    command = ["-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={folder / 'model'},dtype=float32"]
    command += ["--include_path", str(folder / "tasks"), "--tasks", f"topics_{kind}", "--device", "cpu", "--batch_size", str(batch)]
    command += ["--log_samples", "--output_path", str(folder / "cli")]
    theirs = [child(command) for _ in range(peer_runs)]
    cpu, wall = (float(np.median([run[i] for run in mine])) for i in (0, 1))
    peer_cpu, peer_wall = (float(np.median([run[i] for run in theirs])) for i in (0, 1))
    return {
        "whole process": kind,
        "our CPU s": round(cpu, 1),
        "our wall s": round(wall, 1),
        "peer CPU s": round(peer_cpu, 1),
        "peer wall s": round(peer_wall, 1),
        "CPU ratio": round(peer_cpu / cpu, 1),
        "wall ratio": round(peer_wall / wall, 1),
    }


def run_role(given: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(1)
    roles: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: ours(given.folder, given.kind, flops=False),
        "ours-flops": lambda: ours(given.folder, given.kind, flops=True),
        "peer": lambda: peer(given.folder, given.kind, given.batch),
    }
    given.out.write_text(json.dumps(roles[given.role]()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3, help="of our side; the median counts")
    parser.add_argument("--peer-runs", type=int, default=1, help="of the peer at its best batch size")
    parser.add_argument("--labels", nargs="+", choices=list(LABELS), default=list(LABELS))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16], help="the peer's; the best one counts")
    parser.add_argument("--no-peer", action="store_true", help="our side alone")
    parser.add_argument("--no-whole", action="store_true", help="leave out the whole-process comparison")
    for hidden, kind in (("--role", str), ("--folder", Path), ("--kind", str), ("--batch", int), ("--out", Path)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        return run_role(given)
    if not given.no_peer and importlib.util.find_spec("lm_eval") is None:
        raise SystemExit("lm-evaluation-harness is not installed: pip install 'adaptation-harness[bench]' (or use --no-peer)")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder, given.items)
        best = 1
        for kind in given.labels:
            report = compare(folder, kind, [] if given.no_peer else given.batch_sizes, given.runs, given.peer_runs)
            best = report.get("best batch", best)
            print(json.dumps(report, indent=2), flush=True)
        if not given.no_peer and not given.no_whole:
            print(json.dumps(whole_process(folder, given.labels[0], best, given.runs, given.peer_runs), indent=2), flush=True)


if __name__ == "__main__":
    main()
