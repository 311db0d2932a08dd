"""What the studies found, as sentences for the README: every number from a result file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from card import SR_SETS, result

from zoo.registry import list_weights


def readme_findings(folder: Path) -> str:
    """One paragraph for each study that has run."""
    studies = {
        "upsampling": upsampling,
        "losses": losses,
        "srresnet_x4.perceptual_study": perceptual,
        "stability": stability,
        "encoders": encoders,
    }
    texts = [
        describe(result(name, folder))
        for name, describe in studies.items()
        if (folder / f"{name}.json").is_file()
    ]
    return "\n\n".join(texts) or "The studies have not run yet."


def upsampling(study: dict[str, Any]) -> str:
    rows = study["variants"]
    start = {name: f"{row['grid_at_start']:.1f}" for name, row in rows.items()}
    first, last = rows["enlarge first"], rows["pixel shuffle + ICNR"]
    work = first["multiply_adds_720p"] / last["multiply_adds_720p"]
    ends = ", ".join(f"{n} {row['psnr_y']:.2f} / {row['grid']:.2f}" for n, row in rows.items())
    return (
        "**How one enlarges decides whether there are checkerboards.** In untrained networks the "
        f"grid's power is {start['transposed']} times that of its neighbourhood with transposed "
        "convolution, "
        f"{start['pixel shuffle']} times with pixel shuffle, {start['pixel shuffle + ICNR']} with "
        f"ICNR and {start['nearest']} with nearest neighbour + convolution. Enlarging first, so "
        f"that the same blocks run on large maps, takes {work:.1f} times the multiply-adds and "
        f"{first['seconds_relative']:.1f} times the time. After the same {study['steps']:,} steps, "
        f"PSNR-Y in dB / the grid's power relative to the original photographs': {ends}.\n\n"
        "![Upsamplers before and after training](docs/upsampling.png)"
    )


def losses(study: dict[str, Any]) -> str:
    rows = study["losses"]
    figures = "; ".join(
        f"{loss}: {row['psnr_y']:.2f} dB, {row['top_octave']:.0%}, {row['grid']:.1f}"
        for loss, row in rows.items()
    )
    return (
        f"**Pixel losses blur.** ×4 after the same {study['steps']} steps by each loss: PSNR-Y, "
        "the energy of the finest octave and the power of the ×4 grid, both relative to the "
        f"original photographs': {figures}. So features sharpen, but alone they do so by a "
        "checkerboard, too; the feature loss has a term against each pattern of this kind.\n\n"
        "![The same training by each loss](docs/losses.png)"
    )


def perceptual(study: dict[str, Any]) -> str:
    names = list_weights("srresnet_x4")
    columns = {"psnr_y": 2, "distance_resnet50": 3, "top_octave": 2}  # and their digits
    lines = [
        "**Sharper pictures have a larger error.** PSNR-Y in dB / distance in a ResNet50 that no "
        "loss has seen / energy of the finest octave relative to the original's:\n",
        f"| | {' | '.join(SR_SETS)} |",
        f"|---|{'---|' * len(SR_SETS)}",
    ]
    for name in ["bicubic_x4", *names]:
        cells = [
            " / ".join(
                f"{study['sets'][title][name][column]:.{digits}f}"
                for column, digits in columns.items()
            )
            for title in SR_SETS
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def stability(study: dict[str, Any]) -> str:
    ends = "; ".join(
        f"{name}: {rows[-1]['psnr_y']:.2f}" if rows else f"{name}: no number"
        for name, rows in study["curves"].items()
    )
    return (
        "**What keeps training stable.** Held-out PSNR-Y in dB at the end of a short training with "
        f"Adam at {study['lr']:g}: {ends}. [The curves](docs/stability.png)."
    )


def encoders(study: dict[str, Any]) -> str:
    counts = study["summary"]
    return (
        f"**How many encoders.** `dynamic_unet` works on {counts['working']:,} of the "
        f"{counts['names']:,} architectures ({counts['share']} %) that timm "
        f"{study['environment']['libraries']['timm']} lists, tried by their shapes on one size of "
        f"image, and on {counts['features_only_share']} % of the {counts['features_only']:,} that "
        f"timm itself builds as feature extractors; {counts['resized']:,} see the image resized to "
        "the one size that they take."
    )
