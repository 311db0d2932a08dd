"""Pictures for docs/gallery.md: freely licensed photographs, enlarged by bicubic and our weights.

python benchmarks/gallery.py

The photographs ship inside scikit-image (public domain and CC0). They are shrunk first, by the
benchmarks' protocol or with degradations, so that the original can stand beside the results.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import skimage.data
import typer
from numpy.typing import NDArray
from rich import print

from zoo.errors import ZooError
from zoo.inference.blending import CLEAN, TREATED
from zoo.inference.upscaler import Upscaler
from zoo.pictures.comparison import PANEL, Row, draw
from zoo.registry import get_weights, list_weights
from zoo.sr.data.imresize import bicubic_upscale, crop_to_multiple
from zoo.sr.data.pairs import Degradation
from zoo.sr.degradations.compression import jpeg
from zoo.sr.degradations.named import mixed, noise25
from zoo.sr.degradations.shrink import shrink
from zoo.sr.measure.metrics import psnr_y
from zoo.store.atomic import replacing

DOCS = Path(__file__).parents[1] / "docs"
SCALES = (4, 2)
TREATED_SCALES = (*SCALES, 1)

Pixels = NDArray[np.uint8]


def jpeg50(image: Pixels, scale: int) -> Pixels:
    """Shrunk, then JPEG of quality 50."""
    return jpeg(shrink(image, scale), 50)


@dataclass(frozen=True)
class Scene:
    """A photograph of scikit-image, what happens to it, and where to look.

    centres: (row, column) of the zoomed parts, as shares of the sides.
    degrade: makes the small image; its docstring goes onto the page.
    """

    photograph: str
    centres: tuple[tuple[float, float], ...]
    degrade: Degradation = shrink

    @property
    def title(self) -> str:
        ending = "" if self.degrade is shrink else f"_{self.degrade.__name__}"
        return f"{self.photograph}{ending}"


SCENES = (
    Scene("astronaut", ((0.22, 0.44), (0.32, 0.80))),
    Scene("chelsea", ((0.39, 0.38), (0.62, 0.56))),
    Scene("coffee", ((0.37, 0.64), (0.30, 0.28))),
    Scene("rocket", ((0.55, 0.50),)),
)
TREATED_SCENES = (
    Scene("astronaut", ((0.22, 0.44), (0.32, 0.80)), jpeg50),
    Scene("chelsea", ((0.39, 0.38),), noise25),
    Scene("coffee", ((0.37, 0.64),), mixed),
    Scene("rocket", ((0.55, 0.50),), jpeg50),
    Scene("camera", ((0.24, 0.45),), jpeg50),
    Scene("page", ((0.50, 0.30),), jpeg50),
)


def main(
    docs: Annotated[Path, typer.Option(help="Folder of gallery.md and gallery/.")] = DOCS,
) -> None:
    """Draw a picture for each scale and photograph, and the page that shows them."""
    (docs / "gallery").mkdir(parents=True, exist_ok=True)
    for scale in TREATED_SCALES:
        clean_scenes = SCENES if scale in SCALES else ()
        for scenes, names in ((clean_scenes, clean(scale)), (TREATED_SCENES, treated(scale))):
            for scene in scenes if names else ():
                file = docs / "gallery" / f"{scene.title}_x{scale}.png"
                with replacing(file) as part:
                    draw(compare(scene, names, scale)).save(part, format="png")
                print(file.name)
    with replacing(docs / "gallery.md") as part:
        part.write_text(page())


def clean(scale: int) -> list[str]:
    """The weights for clean photographs."""
    names = list_weights(f"srresnet_x{scale}")
    return [name for name in names if get_weights(name).tag != TREATED]


def treated(scale: int) -> list[str]:
    """The weights to show on treated photographs; none if there are no weights for them."""
    names = list_weights(f"srresnet_x{scale}")
    tags = [get_weights(name).tag for name in names]
    if TREATED not in tags:
        return []
    return [names[tags.index(tag)] for tag in (CLEAN, "perceptual", TREATED) if tag in tags]


def page() -> str:
    """The text of gallery.md. It names the pictures' versions of the weights; a test fails if these
    are not the versions that ship.
    """
    parts = [
        "# Gallery\n\nMade by `python benchmarks/gallery.py` from photographs that ship inside "
        "scikit-image, shrunk by MATLAB's bicubic `imresize` and enlarged again. In the zoomed "
        "parts each pixel is a square."
    ]
    for scale in SCALES:
        names = clean(scale)
        parts += [f"## Enlarged {scale} times", versions(names)]
        parts += [image(scene, names, scale) for scene in SCENES]
    for scale in TREATED_SCALES:
        if names := treated(scale):
            way = f"enlarged {scale} times" if scale > 1 else "in their own size"
            parts += [f"## Treated photographs, {way}", versions(names)]
            parts += ["Nothing is shrunk here."] if scale == 1 else []
            for scene in TREATED_SCENES:
                parts += [scene.degrade.__doc__ or "", image(scene, names, scale)]
    return "\n\n".join(parts) + "\n"


def simple(scale: int) -> str:
    """What stands beside the weights: bicubic, or the treated photograph itself."""
    return "bicubic" if scale > 1 else "treated"


def versions(names: list[str]) -> str:
    metas = [get_weights(name).meta for name in names]
    return "\n".join(
        f"- `{name}` version {meta.version}: [{meta.recipe}](../{meta.recipe})"
        for name, meta in zip(names, metas, strict=True)
    )


def image(scene: Scene, names: list[str], scale: int) -> str:
    titles = ", ".join([simple(scale), *names, "original"])
    return f"![{scene.title}: {titles}](gallery/{scene.title}_x{scale}.png)"


def compare(scene: Scene, names: list[str], scale: int) -> list[Row]:
    """One row for each zoomed part: `simple`, the weights and the original, with their PSNR."""
    original = crop_to_multiple(getattr(skimage.data, scene.photograph)(), scale)
    if original.ndim == 2:
        original = np.dstack([original] * 3)
    small = scene.degrade(original, scale)
    results = {simple(scale): bicubic_upscale(small, scale)}
    results |= {name: Upscaler(name, precision="fp32").array(small) for name in names}
    captions = {
        title: f"PSNR-Y {psnr_y(result, original, crop=scale):.2f} dB"
        for title, result in results.items()
    }
    results["original"] = original
    rows = []
    side = min(PANEL // 3, *original.shape[:2])
    for centre in scene.centres:
        top, left = (
            min(max(round(share * length - side / 2), 0), length - side)
            for share, length in zip(centre, original.shape[:2], strict=True)
        )
        window = slice(top, top + side), slice(left, left + side)
        cuts = {title: result[window] for title, result in results.items()}
        rows.append(Row(original, (top, left, side), cuts, captions))
    return rows


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")
