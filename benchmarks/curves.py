"""Training curves as pictures."""

from __future__ import annotations

from pathlib import Path

from common import scored


def plot_curve(history: list[dict[str, float]], file: Path) -> None:
    """Plots the held-out score and the learning rate over the steps."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zoo"  # the same curve makes the same file
    from matplotlib import pyplot

    file.parent.mkdir(parents=True, exist_ok=True)
    figure, left = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    metric, rows = scored(history)
    left.plot([row["step"] for row in rows], [row[metric] for row in rows], marker=".")
    unit = " (dB)" if metric.startswith("psnr") else ""
    left.set(xlabel="step", ylabel=f"held-out {metric}{unit}")
    left.grid(alpha=0.3)
    right = left.twinx()
    right.plot([r["step"] for r in history], [r["lr"] for r in history], color="gray", alpha=0.4)
    right.set(ylabel="learning rate")
    figure.savefig(file, metadata={"Date": None})
