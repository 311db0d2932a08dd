"""From a run to weights that ship, and from results to every page that quotes a figure.

    python benchmarks/publish.py weights runs/srresnet_x2 srresnet_x2.psnr
    python benchmarks/publish.py pages

`weights` writes the fp16 file into the package and the training curve beside the results. `pages`
writes zoo/pretrained/index.json, MODEL_CARD.md and the figures in README.md; a test fails while one
of them differs from what this script would write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import typer

import zoo
from zoo.atomic import replacing
from zoo.download import sha256_of
from zoo.registry import get_model, list_models
from zoo.statedict import save_weights
from zoo.weights import PRETRAINED, get_weights, list_weights

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
START, END = "<!-- figures -->", "<!-- /figures -->"

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def weights(run: Path, name: str) -> None:
    """Write a run's best weights as PRETRAINED/NAME.safetensors, and its curve; print the facts."""
    model = zoo.load_model(run / "best")
    trained = {key for key, _ in model.named_parameters()}
    state = {  # buffers, such as statistics of batch norm, keep their precision
        key: value.to(torch.float16) if key in trained else value
        for key, value in model.state_dict().items()
    }
    file = PRETRAINED / f"{name}.safetensors"
    save_weights(state, file)
    history = json.loads((run / "history.json").read_text())
    write_json(RESULTS / f"{name}.history.json", history)
    plot_curve(history, ROOT / "docs" / "curves" / f"{name}.svg")
    print(f'file="{file.name}",\nsha256="{sha256_of(file)}",\nsize={file.stat().st_size:_},')


@app.command()
def pages() -> None:
    """Write the index, the model card and the README's figures."""
    write_json(PRETRAINED / "index.json", index())
    for file, text in written_pages().items():
        with replacing(file) as part:
            part.write_text(text)


def write_json(file: Path, content: object) -> None:
    with replacing(file) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def plot_curve(history: list[dict[str, float]], file: Path) -> None:
    """The held-out score over the steps, the learning rate behind it."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zoo"  # the same curve makes the same file
    from matplotlib import pyplot

    file.parent.mkdir(parents=True, exist_ok=True)
    figure, left = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    scored = [row for row in history if "psnr_y" in row]
    left.plot([r["step"] for r in scored], [r["psnr_y"] for r in scored], marker=".")
    left.set(xlabel="step", ylabel="held-out psnr_y (dB)")
    left.grid(alpha=0.3)
    right = left.twinx()
    right.plot([r["step"] for r in history], [r["lr"] for r in history], color="gray", alpha=0.4)
    right.set(ylabel="learning rate")
    figure.savefig(file, metadata={"Date": None})


def result(name: str) -> dict[str, Any]:
    """A result that a benchmark wrote."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def shipped() -> list[str]:
    """The names of all registered weights."""
    return [name for model in list_models() for name in list_weights(model)]


def index() -> dict[str, Any]:
    """Size, hash and metrics of all weights: what the installed package knows of its figures."""
    entries = {}
    for name in shipped():
        measured = result(name)
        declared = get_weights(name)
        if measured["weights_sha256"] != declared.sha256:
            raise SystemExit(f"error: {name}.json was measured with other weights: run eval again.")
        means = {
            title: {key: round(row[key], 4) for key in ("psnr_y", "ssim_y")}
            for title, row in measured["sets"].items()
        }
        metrics = {"protocol": measured["protocol"], **means}
        entries[name] = {"sha256": declared.sha256, "size": declared.size, "metrics": metrics}
    return entries


def written_pages() -> dict[Path, str]:
    """The pages with figures, as they should be."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return {
        readme: f"{before}{START}\n{readme_figures()}\n{END}{after}",
        ROOT / "MODEL_CARD.md": model_card(),
    }


def readme_figures() -> str:
    """Weights against bicubic on the benchmark sets."""
    titles = ["Set5", "Set14", "B100"]
    lines = [
        f"| Y-PSNR (dB) | parameters | {' | '.join(titles)} |",
        f"|---|---|{'---|' * len(titles)}",
    ]
    for scale in (2, 4):
        names = [n for n in shipped() if n.startswith("srresnet") and result(n)["scale"] == scale]
        for name in [f"bicubic_x{scale}", *names]:
            row = result(name)
            size = f"{row['parameters'] / 1e6:.2f} M" if "parameters" in row else "–"
            figures = " | ".join(f"{row['sets'][title]['psnr_y']:.2f}" for title in titles)
            lines.append(f"| `{name}` | {size} | {figures} |")
    return "\n".join(lines)


def model_card() -> str:
    """One section for each model that has weights."""
    sections = [
        "# Model card\n\nWritten by `benchmarks/publish.py` from the registry and from "
        "`benchmarks/results/`: every figure here comes from a run."
    ]
    for model in list_models(pretrained=True):
        what = (get_model(model).build.__doc__ or "").strip().splitlines()[0]
        sections.append(f"## {model}\n\n{what}")
        sections += [section(name) for name in list_weights(model)]
    return "\n\n".join(sections) + "\n"


def section(name: str) -> str:
    """One file of weights: data and terms, training, metrics with their protocol, cost."""
    declared, measured = get_weights(name), result(name)
    meta, machine = declared.meta, measured["environment"]
    history = json.loads((RESULTS / f"{name}.history.json").read_text())
    best = max((row for row in history if "psnr_y" in row), key=lambda row: row["psnr_y"])
    rows = "\n".join(
        f"| {title} | {len(row['images'])} | {row['psnr_y']:.2f} | {row['ssim_y']:.4f} |"
        f" {result(baseline(measured))['sets'][title]['psnr_y']:.2f} | {row['seconds']:.2f} |"
        for title, row in measured["sets"].items()
    )
    return f"""### {name}

- **File**: `zoo/pretrained/{declared.file}`, version {meta.version}, fp16 safetensors, \
{declared.size / 1e6:.1f} MB, sha256 `{declared.sha256}`.
- **Licence of the weights**: {meta.license}
- **Training data**: {meta.training_data}
- **Terms of the data**: {meta.training_data_terms}
- **Training**: [{meta.recipe}]({meta.recipe}), {history[-1]["step"]:,} steps; the averaged \
weights of step {best["step"]:,} did best on the photographs set aside ({best["psnr_y"]:.2f} dB). \
[Curve](docs/curves/{name}.svg), [its figures](benchmarks/results/{name}.history.json).
- **Cost**: {measured["parameters"]:,} parameters; {measured["multiply_adds_720p"] / 1e9:.1f} \
billion multiply-adds for a result of 1280×720.
- **Input**: RGB in {list(meta.input_range)}, any size from 1×1.

| set | images | PSNR-Y (dB) | SSIM-Y | bicubic PSNR-Y (dB) | s / image |
|---|---|---|---|---|---|
{rows}

Protocol: {measured["protocol"]}. Precision fp32, whole images, {machine["threads"]} threads of \
{machine["cpu"]}, torch {machine["libraries"]["torch"]}; \
[all figures](benchmarks/results/{name}.json)."""


def baseline(measured: dict[str, Any]) -> str:
    return f"bicubic_x{measured['scale']}"


if __name__ == "__main__":
    app()
