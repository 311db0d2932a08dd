"""The figure "quality against cost": PSNR over parameters, ours beside published networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tables import result, shipped

SET = "B100"

# As their papers give them (and torchSR's README for NinaSR): millions of parameters, Y-PSNR.
PUBLISHED: dict[int, dict[str, tuple[float, float]]] = {
    2: {
        "CARN-M": (0.412, 31.92),
        "EDSR-baseline": (1.37, 32.16),
        "IMDN": (0.694, 32.19),
        "NinaSR-B0": (0.10, 31.97),
    },
    4: {
        "CARN-M": (0.412, 27.44),
        "EDSR-baseline": (1.52, 27.57),
        "IMDN": (0.715, 27.56),
        "NinaSR-B0": (0.10, 27.36),
    },
}


def draw(folder: Path, file: Path) -> None:
    """One panel for each scale, as an SVG; weights that aim at least error, not at looks."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zoo"  # the same figures make the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for panel, (scale, published) in zip(panels, PUBLISHED.items(), strict=True):
        scatter(panel, published, colour="#5f6368", above=True)
        scatter(panel, ours(scale, folder), colour="#c0392b", above=False)
        panel.set(xscale="log", xlabel="million parameters", title=f"×{scale}", xlim=(0.07, 2.5))
        panel.set_ylabel(f"Y-PSNR on {SET} (dB)")
        panel.margins(y=0.2)
        panel.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def scatter(
    panel: Any, points: dict[str, tuple[float, float]], *, colour: str, above: bool
) -> None:
    panel.scatter(*zip(*points.values(), strict=True), color=colour)
    for name, point in points.items():
        panel.annotate(
            name,
            point,
            xytext=(0, 6 if above else -14),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=colour,
        )


def ours(scale: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Million parameters and PSNR of the weights for clean photographs that aim at least error."""
    points = {}
    for name in shipped("super-resolution"):
        measured = result(name, folder)
        if measured["scale"] == scale and name.partition(".")[2] in ("psnr", "fast"):
            points[name] = (measured["parameters"] / 1e6, measured["sets"][SET]["psnr_y"])
    return points
