"""Read and write pictures of 16 bits a channel in colour or with alpha, which PIL cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from zoo.errors import ImageError, MissingDependencyError
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import compose


def require_pyvips() -> Any:
    """Return the module `pyvips`; raise MissingDependencyError, which says how to install it."""
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the package without the libvips library
        raise MissingDependencyError(
            "16 bits a channel in colour or with transparency need pyvips: "
            "pip install 'zoo-models[large]'."
        ) from error
    return pyvips


def read_deep(path: Path, header: Image.Image) -> Picture:
    """Read a PNG or TIFF file of 16 bits a channel in colour or with alpha.

    header: the file's PIL image, opened but not loaded.
    Raises ImageError for other formats and layouts, MissingDependencyError without pyvips.
    """
    tags = getattr(header, "tag_v2", {})
    if (
        header.format not in ("PNG", "TIFF")
        or header.mode not in ("RGB", "RGBA")
        or max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))) != 16
        or 1 in tags.get(TiffImagePlugin.EXTRASAMPLES, ())  # premultiplied alpha
    ):
        raise ImageError(
            f"zoo doesn't read this kind of {header.format} with more than 8 bits a channel; "
            "save it as PNG or TIFF, in RGB or RGBA, with 16 bits a channel."
        )
    vips = require_pyvips()
    source = vips.Source.new_from_file(str(path))
    planes = vips.Image.new_from_source(source, "", fail_on="truncated").numpy()
    planes = planes.reshape(*planes.shape[:2], -1)
    if planes.dtype != np.uint16:
        raise ImageError(f"The picture has {planes.dtype} pixels; zoo takes 8 or 16 bits.")
    colours = 1 if planes.shape[2] < 3 else 3
    alpha = planes[..., colours] if header.has_transparency_data else None
    return compose(planes[..., :colours], alpha, header, header.info.get("icc_profile"))


def write_deep(picture: Picture, path: Path) -> None:
    """Write a picture of 16 bits a channel in colour or with alpha, as PNG or TIFF.

    Raises MissingDependencyError for PNG without pyvips.
    """
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
    if picture.format == "TIFF":
        _write_tiff(planes, picture, path)
        return
    vips = require_pyvips()
    kind = "grey16" if planes.shape[2] < 3 else "rgb16"
    image = vips.Image.new_from_array(planes, interpretation=kind).copy()
    for name, data in (("icc-profile-data", picture.icc_profile), ("exif-data", picture.exif)):
        if data:
            image.set_type(vips.GValue.blob_type, name, data)
    image.pngsave(str(path))


def _write_tiff(planes: Array, picture: Picture, path: Path) -> None:
    """Write one uncompressed strip with PIL's tag writer: libvips would drop the EXIF."""
    height, width, bands = planes.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    if picture.exif:
        exif = Image.Exif()
        exif.load(picture.exif)
        groups = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
        for tag in exif:
            tags[tag] = exif.get_ifd(tag) if tag in groups else exif[tag]
    if picture.icc_profile:
        tags[TiffImagePlugin.ICCPROFILE] = picture.icc_profile
    if picture.alpha is not None:
        tags[TiffImagePlugin.EXTRASAMPLES] = 2  # alpha that is not premultiplied
    tags[TiffImagePlugin.IMAGEWIDTH] = width
    tags[TiffImagePlugin.IMAGELENGTH] = height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (16,) * bands
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = bands
    tags[TiffImagePlugin.COMPRESSION] = 1  # none
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 2 if bands > 2 else 1  # RGB, grey
    tags[TiffImagePlugin.ROWSPERSTRIP] = height
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = planes.nbytes
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # counted from the end of the tags
    with path.open("wb") as stream:
        tags.save(stream)
        stream.write(np.ascontiguousarray(planes, "<u2").data)
