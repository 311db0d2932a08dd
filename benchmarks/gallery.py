"""Pictures for docs/gallery.md: freely licensed photographs, enlarged by bicubic and all weights.

python benchmarks/gallery.py

The photographs ship inside scikit-image (public domain and CC0). They are shrunk by the benchmarks'
protocol first, so that the original can stand beside the results.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import skimage.data
import typer
from rich import print

from zoo.errors import ZooError
from zoo.inference.upscaler import Upscaler
from zoo.pictures.comparison import PANEL, Row, draw
from zoo.registry import get_weights, list_weights
from zoo.sr.data.imresize import bicubic_downscale, bicubic_upscale, crop_to_multiple
from zoo.sr.measure.metrics import psnr_y
from zoo.store.atomic import replacing

DOCS = Path(__file__).parents[1] / "docs"
SCALES = (4, 2)
# Centres (row, column) of the zoomed parts of each photograph, as shares of its sides.
PHOTOGRAPHS = {
    "astronaut": ((0.22, 0.44), (0.32, 0.80)),
    "chelsea": ((0.39, 0.38), (0.62, 0.56)),
    "coffee": ((0.37, 0.64), (0.30, 0.28)),
    "rocket": ((0.55, 0.50),),
}


def main(
    docs: Annotated[Path, typer.Option(help="Folder of gallery.md and gallery/.")] = DOCS,
) -> None:
    """Draw a picture for each scale and photograph, and the page that shows them."""
    (docs / "gallery").mkdir(parents=True, exist_ok=True)
    for scale in SCALES:
        for photograph, centres in PHOTOGRAPHS.items():
            file = docs / "gallery" / f"{photograph}_x{scale}.png"
            with replacing(file) as part:
                draw(compare(photograph, centres, scale)).save(part, format="png")
            print(file.name)
    with replacing(docs / "gallery.md") as part:
        part.write_text(page())


def page() -> str:
    """The text of gallery.md. It names the pictures' versions of the weights; a test fails if these
    are not the versions that ship.
    """
    sections = [
        "# Gallery\n\nMade by `python benchmarks/gallery.py` from photographs that ship inside "
        "scikit-image, shrunk by MATLAB's bicubic `imresize` and enlarged again. In the zoomed "
        "parts each pixel is a square."
    ]
    for scale in SCALES:
        names = list_weights(f"srresnet_x{scale}")
        lines = [
            f"- `{name}` version {meta.version}: [{meta.recipe}](../{meta.recipe})"
            for name, meta in ((name, get_weights(name).meta) for name in names)
        ]
        sections.append(f"## Enlarged {scale} times\n\n" + "\n".join(lines))
        titles = ", ".join(["bicubic", *names, "original"])
        sections += [
            f"![{photograph}: {titles}](gallery/{photograph}_x{scale}.png)"
            for photograph in PHOTOGRAPHS
        ]
    return "\n\n".join(sections) + "\n"


def compare(photograph: str, centres: tuple[tuple[float, float], ...], scale: int) -> list[Row]:
    """One row for each zoomed part: bicubic, all weights and the original, with their PSNR."""
    original = crop_to_multiple(getattr(skimage.data, photograph)(), scale)
    small = bicubic_downscale(original, scale)
    versions = {"bicubic": bicubic_upscale(small, scale)}
    versions |= {
        name: Upscaler(name, precision="fp32").array(small)
        for name in list_weights(f"srresnet_x{scale}")
    }
    captions = {
        title: f"PSNR-Y {psnr_y(image, original, crop=scale):.2f} dB"
        for title, image in versions.items()
    }
    versions["original"] = original
    rows = []
    side = PANEL // 3
    for centre in centres:
        top, left = (
            min(max(round(share * length - side / 2), 0), length - side)
            for share, length in zip(centre, original.shape[:2], strict=True)
        )
        window = slice(top, top + side), slice(left, left + side)
        cuts = {title: image[window] for title, image in versions.items()}
        rows.append(Row(original, (top, left, side), cuts, captions))
    return rows


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")
