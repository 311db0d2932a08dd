"""`zoo export`: write a model as a file for other programs."""

from __future__ import annotations

from pathlib import Path

from zoo.create import load_model
from zoo.export import check_target, export


def export_file(model: str, out: Path, *, overwrite: bool) -> str:
    """Write a model to `out`, and return a sentence about the file.

    Raises ZooError; what is wrong with `out` is found before the model is loaded.
    """
    check_target(out, overwrite=overwrite)
    net = load_model(model)
    done = export(net, out, overwrite=overwrite)
    megabytes = out.stat().st_size / 1e6
    bounds = f"; it takes heights {done.heights} and widths {done.widths}" if done.bounded else ""
    return (
        f"{net.source} → {out} ({megabytes:.1f} MB);"
        f" results differ by {done.error:.1g} at most{bounds}"
    )
