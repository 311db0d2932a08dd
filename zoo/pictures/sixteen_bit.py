"""Read and write pixels that PIL cannot hold: 16 bits in colour or with alpha, and floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ImageError, MissingDependencyError
from zoo.pictures.header import Header
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import compose


def require_pyvips(
    what: str = "16 bits a channel in colour or with transparency, and floats,",
) -> Any:
    """Return the module `pyvips`; raise MissingDependencyError, which says what needs it and how
    to install it.
    """
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the package without the libvips library
        raise MissingDependencyError(
            f"{what} need pyvips: pip install 'zoo-models[large]'."
        ) from error
    return pyvips


def read_deep(path: Path, header: Header, format: str, *, has_alpha: bool) -> Picture:
    """Read a PNG or TIFF file of 16 bits a channel in colour or with alpha, or of floats.

    Floats in [0, 1] become 16 bits.
    has_alpha: whether the last of 2 or 4 channels is alpha; else it is left out.
    Raises ImageError for pixels of another kind, MissingDependencyError without pyvips.
    """
    vips = require_pyvips()
    source = vips.Source.new_from_file(str(path))
    planes = vips.Image.new_from_source(source, "", fail_on="truncated").numpy()
    planes = planes.reshape(*planes.shape[:2], -1)
    if planes.dtype.kind == "f":
        planes = _from_floats(planes)
    if planes.dtype != np.uint16:
        raise ImageError(f"the picture has {planes.dtype} pixels; zoo takes 8 or 16 bits.")
    colours = 1 if planes.shape[2] < 3 else 3
    alpha = planes[..., colours] if has_alpha else None
    return compose(planes[..., :colours], alpha, header, format)


def _from_floats(planes: Array) -> Array:
    low, high = float(planes.min()), float(planes.max())
    if not (low >= 0 and high <= 1):  # false for NaN, too
        raise ImageError(
            f"the picture has {planes.itemsize * 8}-bit float pixels in [{low:g}, {high:g}]; zoo "
            "takes floats in [0, 1], or 8 or 16 bits a channel."
        )
    deep: Array = np.rint(planes * 65535).astype(np.uint16)
    return deep


def write_deep_png(planes: Array, path: Path) -> None:
    """Write `[H, W, 2..4]` uint16 as a bare PNG file: grey or RGB, with or without alpha.

    Raises MissingDependencyError without pyvips.
    """
    vips = require_pyvips()
    kind = "grey16" if planes.shape[2] < 3 else "rgb16"
    vips.Image.new_from_array(planes, interpretation=kind).copy().pngsave(str(path))
