"""One run as people write it today: transformers' Trainer, a peft adapter, a classifier on mean-pooled states. One process a run.

    python benchmarks/peers/trainer_script.py JOB.json OUT.json

JOB.json (written by benchmarks/training.py): model folder, method, rows, rates, steps, and, so that losses can be compared step by
step, initial values of the trained parameters and the rows of every batch. Nothing of the harness is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader


class Classifier(nn.Module):
    """A linear layer on the mean of the last states of the text's tokens."""

    def __init__(self, encoder: nn.Module, width: int, labels: int, prompt: int) -> None:
        super().__init__()
        self.encoder, self.head, self.prompt = encoder, nn.Linear(width, labels), prompt

    def forward(self, input_ids: Any, attention_mask: Any, labels: Any = None) -> dict[str, Any]:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, self.prompt :]
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        logits = self.head((states * weights).sum(dim=1) / weights.sum(dim=1))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def adapted(job: dict[str, Any], encoder: Any) -> Any:
    """The encoder with the method's adapter; only what the method trains has gradients."""
    length = job["config"].get("length", 0)
    kind = "FEATURE_EXTRACTION"
    configs: dict[str, Any] = {
        "lora": lambda: peft.LoraConfig(task_type=kind, r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"]),
        "ia3": lambda: peft.IA3Config(
            task_type=kind, target_modules=r".*(\.key|\.value|\d+\.output\.dense)", feedforward_modules=r".*\d+\.output\.dense"
        ),
        "front-prompt-tuning": lambda: peft.PromptTuningConfig(task_type=kind, num_virtual_tokens=length),
        "front-p-tuning": lambda: peft.PromptEncoderConfig(
            task_type=kind, num_virtual_tokens=length, encoder_hidden_size=job["config"]["hidden"], encoder_dropout=0.0
        ),
    }
    if job["method"] in configs:
        return peft.get_peft_model(encoder, configs[job["method"]]())
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = job["method"] == "full-fine-tuning" or name.endswith("bias")
    return encoder


def start_from(model: Classifier, file: str) -> None:
    """Initial values given by the caller, matched by the sorted order of names."""
    given = load_file(file)
    trained = {name: p for name, p in model.encoder.named_parameters() if p.requires_grad}
    parts = [name for name in given if name.startswith("parts.")]
    order = sorted(parts, key=lambda name: int(name[7:]) if name[6] == "p" and name[7:].isdigit() else 0)
    by_end = {
        name: next((key for key in parts if name.split("prompt_encoder.default.")[-1] == key.split("encoder.")[-1]), None)
        for name in trained
    }
    with torch.no_grad():
        for name, key in zip(sorted(trained), order if len(parts) == len(trained) else []):
            key = by_end[name] or key
            assert trained[name].shape == given[key].shape, (name, key)
            trained[name].copy_(given[key])
        model.head.weight.copy_(given["head.weight"])
        model.head.bias.copy_(given["head.bias"])
    assert len(parts) == len(trained), (sorted(trained), parts)


class Batches(transformers.Trainer):
    """The Trainer with the batches that the job lists, remembering every loss."""

    order: list[list[int]]
    losses: list[float]

    def get_train_dataloader(self) -> Any:
        return DataLoader(self.train_dataset, batch_sampler=self.order, collate_fn=self.data_collator)  # type: ignore[arg-type]

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
        outputs = model(**inputs)
        if model.training:
            self.losses.append(float(outputs["loss"].detach()))
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]


def main(job_file: str, out: str) -> None:
    job = json.loads(Path(job_file).read_text())
    torch.set_num_threads(1)
    transformers.set_seed(job["seed"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model"])
    encoder = transformers.AutoModel.from_pretrained(job["model"], add_pooling_layer=False)
    width = encoder.config.hidden_size
    model = Classifier(adapted(job, encoder), width, job["labels"], job["config"].get("length", 0))
    start_from(model, job["init"])

    def encoded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        tokens = tokenizer([row["text"] for row in rows], truncation=True, max_length=256, return_token_type_ids=False)
        return [{"input_ids": ids, "labels": row["label"]} for ids, row in zip(tokens["input_ids"], rows)]

    groups = [
        {"params": [p for p in model.encoder.parameters() if p.requires_grad], "lr": job["config"]["learning_rate"]},
        {"params": list(model.head.parameters()), "lr": job["config"]["head_rate"]},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = transformers.get_linear_schedule_with_warmup(optimiser, 0, job["steps"])
    arguments = transformers.TrainingArguments(
        output_dir=f"{out}.run", max_steps=job["steps"], per_device_eval_batch_size=32, max_grad_norm=1.0, seed=job["seed"],
        logging_strategy="no", save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = Batches(
        model=model, args=arguments, train_dataset=encoded(job["train"]), data_collator=transformers.DataCollatorWithPadding(tokenizer),
        optimizers=(optimiser, schedule),
    )  # type: ignore[arg-type]  # fmt: skip
    trainer.order, trainer.losses = job["order"], []
    trainer.train()
    predicted = trainer.predict(encoded(job["test"]))  # type: ignore[arg-type]
    right = (predicted.predictions.argmax(axis=1) == predicted.label_ids).mean()
    Path(out).write_text(json.dumps({"losses": trainer.losses, "accuracy": float(right)}))


if __name__ == "__main__":
    if sys.argv[1] != "imports":
        main(*sys.argv[1:])
