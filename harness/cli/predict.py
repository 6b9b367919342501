"""harness predict: a stored adaptation on new rows."""

from __future__ import annotations

from typing import Annotated

import typer


def predict(
    trial: Annotated[str, typer.Argument(help="A trial's id, or its beginning.")],
    file: Annotated[str, typer.Argument(help="New rows: JSONL, CSV or Parquet with the task's input columns.")],
    store: Annotated[str, typer.Option(help="Folder of results.")] = "store",
    out: Annotated[str | None, typer.Option("-o", "--out", help="Write JSONL there instead of to the terminal.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Answer new rows with a stored adaptation. One JSON line a row: id, prediction, scores."""
    import json
    from pathlib import Path

    import numpy as np

    from harness import api
    from harness.data_sources import read_file
    from harness.errors import InputError
    from harness.execute import task_of
    from harness.store import Store

    found = api.find_trial(Store(store, create=False), trial)
    task = task_of(found.trial)
    rows = list(read_file(Path(file)))
    wanted = set(task.test()[0].inputs)
    missing = sorted(wanted - set(rows[0])) if rows else []
    if not rows:
        raise InputError("holds no rows", file=file)
    if missing:
        raise InputError(f"column {missing[0]!r} is missing", file=file, expected=f"{task.name} needs {', '.join(sorted(wanted))}")
    keep = [{key: row[key] for key in (*wanted, "id") if key in row} for row in rows]
    answers = api.predict(store, found.trial.trial_id, keep, device=device)
    lines = []
    for i, name in enumerate(answers.ids):
        line: dict[str, object] = {"id": name}
        if answers.scores is not None:
            best = int(answers.classes[i])
            line["prediction"] = task.labels[best] if task.kind == "classification" else str(rows[i]["choices"][best])
            line["scores"] = [None if not np.isfinite(score) else float(score) for score in answers.scores[i]]
        elif answers.texts is not None:
            line["prediction"] = answers.texts[i]
        lines.append(json.dumps(line, ensure_ascii=False))
    if out is None:
        typer.echo("\n".join(lines))
    else:
        Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")
        typer.echo(f"{len(lines)} predictions in {out}")
