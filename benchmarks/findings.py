"""What the studies found, as text for docs/lesson.md: every number comes from a result file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tables import SR_SETS, result

from zoo.registry import get_weights


def findings(folder: Path) -> str:
    """One section for each study that has run."""
    studies = {
        "upsampling": upsampling,
        "losses": losses,
        "srresnet_x4.perceptual_study": perceptual,
        "stability": stability,
        "encoders": encoders,
    }
    sections = [
        f"{describe(result(name, folder))}\n\n"
        f"All figures: [{name}.json](../benchmarks/results/{name}.json)."
        for name, describe in studies.items()
        if (folder / f"{name}.json").is_file()
    ]
    return "\n\n".join(sections) or "The studies have not run yet."


def psnr(row: dict[str, Any]) -> float:
    """PSNR-Y in dB; studies that were measured on rounded luma call it `psnr_y_rounded`."""
    return float(row.get("psnr_y", row.get("psnr_y_rounded")))


def upsampling(study: dict[str, Any]) -> str:
    variants = study["variants"]
    last, first = variants["pixel shuffle + ICNR"], variants["enlarge first"]
    work = {
        name: row["multiply_adds_720p"] / last["multiply_adds_720p"]
        for name, row in variants.items()
    }
    scores = [psnr(row) for row in variants.values()]
    return section(
        "The upsampler decides whether there is a checkerboard",
        "The lesson enlarges at the end of the network, by pixel shuffle. ICNR sets its first "
        f"weights. The study trains five small ×2 networks for the same {study['steps']:,} steps. "
        "Only the upsampler differs.",
        bullets(
            "Untrained, transposed convolution and plain pixel shuffle paint a checkerboard.",
            "Untrained, pixel shuffle with ICNR paints none. Nor does nearest neighbour + "
            "convolution.",
            f"Trained, the networks differ by {max(scores) - min(scores):.2f} dB at most.",
            f"Enlarging first takes {work['enlarge first']:.1f} times the multiply-adds and "
            f"{first['seconds_relative']:.1f} times the time.",
        ),
        table(
            "upsampler | multiply-adds | time | grid, untrained | grid, trained | PSNR-Y (dB)",
            (
                f"{name} | {work[name]:.1f}× | {row['seconds_relative']:.1f}× | "
                f"{row['grid_at_start']:.1f} | {row['grid']:.2f} | {psnr(row):.2f}"
                for name, row in variants.items()
            ),
        ),
        "Multiply-adds and time are relative to pixel shuffle + ICNR.",
        "![Five upsamplers, before and after training](upsampling.png)",
        "Script: `benchmarks/upsampling.py`.",
    )


def losses(study: dict[str, Any]) -> str:
    rows = study["losses"]
    start = "srresnet_x4.psnr"
    current = study.get("start_sha256") == get_weights(start).sha256
    detail = {name: f"{row['top_octave']:.0%}" for name, row in rows.items()}
    cost = max(psnr(row) for row in rows.values()) - psnr(rows["feature loss"])
    return section(
        "Pixel losses blur, the feature loss sharpens",
        "The lesson replaces the pixel loss by a feature loss: the distance of what a trained "
        "network sees in two images. The study trains the same ×4 weights for "
        f"{study['steps']} more steps by each loss."
        + ("" if current else f" It began with an earlier version of `{start}`."),
        bullets(
            "The pixel losses, squared error (MSE) and L1, give the smallest error. They keep "
            f"{' and '.join(dict.fromkeys([detail['MSE'], detail['L1']]))} of the fine detail.",
            f"The feature loss keeps {detail['feature loss']}. It costs {cost:.2f} dB.",
            f"Features alone keep {detail['features alone']}. Much of that is a checkerboard: its "
            f"grid is {rows['features alone']['grid']:.0f} times as strong as that of the "
            "photographs.",
            "So our feature loss has two more terms, `grid` and `excess`. Each works against one "
            "kind of pattern. [Training](training.md#the-feature-loss) describes them.",
        ),
        table(
            "loss | PSNR-Y (dB) | fine detail | grid",
            (
                f"{name} | {psnr(row):.2f} | {detail[name]} | {row['grid']:.1f}"
                for name, row in rows.items()
            ),
        ),
        "![One part of a photograph after training by each loss](losses.png)",
        "Script: `benchmarks/losses.py`.",
    )


def perceptual(study: dict[str, Any]) -> str:
    sets = study["sets"]

    def closer(network: str) -> str:
        distances = [
            [sets[title][f"srresnet_x4.{tag}"][network] for tag in ("perceptual", "psnr")]
            for title in SR_SETS
        ]
        return f"on {sum(ours < theirs for ours, theirs in distances)} of {len(SR_SETS)} sets"

    return section(
        "Sharper pictures have a larger error",
        "The study compares both weights of `srresnet_x4` with bicubic enlargement. Two networks "
        "judge how far a result is from the original. No loss has used either of them.",
        bullets(
            "The `perceptual` weights have more fine detail than `psnr`, and a larger error.",
            "ResNet50 finds them closer to the original than `psnr` "
            f"{closer('distance_resnet50')}.",
            f"EfficientNet-Lite0 finds them closer {closer('distance_lite0')}.",
            "Figures do not settle what looks best: see the [gallery](gallery.md).",
        ),
        table(
            "set | method | PSNR-Y (dB) | distance, ResNet50 | distance, Lite0 | fine detail",
            (
                f"{title} | `{name}` | {psnr(row):.2f} | {row['distance_resnet50']:.3f} | "
                f"{row['distance_lite0']:.3f} | {row['top_octave']:.0%}"
                for title in SR_SETS
                for name, row in sets[title].items()
            ),
        ),
        "Script: `benchmarks/perceptual.py srresnet_x4`.",
    )


def stability(study: dict[str, Any]) -> str:
    rows = []
    for name, curve in study["curves"].items():
        blocks, batch = name.split(", batch ")
        end = f"{psnr(curve[-1]):.2f}" if curve else "no number"
        rows.append(f"{blocks} | {batch} | {curve[-1]['step'] if curve else '–'} | {end}")
    return section(
        "Residual scaling keeps training stable, and so does batch norm",
        "The lesson multiplies each residual branch by 0.1 (`res_scale`) and leaves batch norm out "
        "of the blocks. The study trains a small ×2 network with Adam at a high learning rate, "
        f"{study['lr']:g}.",
        bullets(
            "With `res_scale` 1 training breaks down, in small batches and in large ones.",
            "With `res_scale` 0.1 it does not.",
            "With batch norm in the blocks it does not either.",
        ),
        table("residual blocks | batch | steps | PSNR-Y at the end (dB)", rows),
        "![PSNR over the steps](stability.png)",
        "Script: `benchmarks/stability.py`.",
    )


def encoders(study: dict[str, Any]) -> str:
    counts, version = study["summary"], study["environment"]["libraries"]["timm"]
    return section(
        "Almost every network can be an encoder",
        "The lesson builds its U-Net on a ResNet34. The study builds `dynamic_unet` on every "
        f"architecture of timm {version}. It checks the shapes for one size of image. "
        f"{len(study['real'])} of the networks also run forward and backward.",
        table(
            f"architectures of timm {version} | tested | working | share",
            [
                f"all | {counts['names']:,} | {counts['working']:,} | {counts['share']}%",
                "those that timm builds as feature extractors | "
                f"{counts['features_only']:,} | {counts['features_only_working']:,} | "
                f"{counts['features_only_share']}%",
            ],
        ),
        f"{counts['resized']:,} of them take one size of image only. The encoder resizes the image "
        "for these.",
        "Script: `benchmarks/encoders.py`.",
    )


def section(title: str, *parts: str) -> str:
    return "\n\n".join([f"### {title}", *parts])


def bullets(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(head: str, rows: Iterable[str]) -> str:
    """A Markdown table; `|` stands between the cells."""
    rule = "---|" * (head.count("|") + 1)
    return "\n".join([f"| {head} |", f"|{rule}", *(f"| {row} |" for row in rows)])
