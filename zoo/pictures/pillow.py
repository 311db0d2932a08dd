"""Convert PIL images of any mode to Pictures and back, with all that they tell."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from zoo.errors import ImageError
from zoo.pictures.colour import profile_of
from zoo.pictures.header import Header, read_header
from zoo.pictures.picture import Array, Picture, fill_transparent


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode to an upright Picture with all that its file tells.

    Modes 1, L and LA become grey uint8; I;16, and I with values in 0..65535, grey uint16; CMYK, by
    its embedded profile, and LAB become sRGB uint8; all others (P, YCbCr, HSV, ...) RGB uint8.
    Raises ImageError for an image without pixels, for other 32-bit pixels, and for a file whose
    colours have more than 8 bits a channel, because PIL would reduce them to 8.
    """
    if 0 in image.size:
        raise ImageError(f"the picture has no pixels: it is {image.width} × {image.height}.")
    if is_deep(image):
        raise ImageError(
            "PIL would cut this picture's colours to 8 bits a channel: pass the path of its file."
        )
    stream = getattr(image, "fp", None)  # None once the image is loaded
    return decode(image, read_header(image, None if stream is None or stream.closed else stream))


def decode(image: Image.Image, header: Header) -> Picture:
    """Load a PIL image and return it as an upright Picture."""
    image.load()
    if image.format == "TIFF":  # which applies its orientation while it loads
        header = replace(header, orientation=1)
    if image.mode.startswith("I"):
        pixels, alpha = _grey16(image)
    elif image.mode in ("CMYK", "LAB"):
        pixels, alpha = np.asarray(_to_srgb(image)), None
        header = replace(header, profile=None)
    else:
        pixels, alpha = _colour8(image)
    return compose(pixels, alpha, header, image.format or "PNG")


def compose(pixels: Array, alpha: Array | None, header: Header, format: str) -> Picture:
    """Return a Picture of decoded planes, turned upright, with what its header tells.

    pixels: `[H, W, C]`; alpha: `[H, W]` or None.
    """
    pixels = turned(pixels, header.orientation)
    if alpha is not None:
        alpha = turned(alpha, header.orientation)
        pixels = fill_transparent(pixels, alpha)
    format = "JPEG" if format == "MPO" else format
    return Picture(pixels, alpha, header.profile, header.exif, format, header.metadata)


def check_pil(picture: Picture) -> None:
    """Raise ImageError if `to_pil` would refuse the picture."""
    deep = picture.pixels.dtype == np.uint16
    if deep and (picture.pixels.shape[2] > 1 or picture.alpha is not None):
        raise ImageError(
            "PIL has no mode for 16 bits a channel in colour or with transparency; `zoo upscale`"
            " writes them to a file, and zoo.upscale takes a uint16 array."
        )
    profile_of(picture)


def to_pil(picture: Picture) -> Image.Image:
    """Return a PIL image of mode L, LA, RGB, RGBA or I;16, with what it tells in its `info`.

    Raises ImageError for 16 bits a channel in colour or with alpha, for which PIL has no mode, and
    for high dynamic range, for which there is no profile.
    """
    check_pil(picture)
    image = bare_image(picture)
    more = picture.metadata
    told = {
        "icc_profile": profile_of(picture),
        "exif": picture.exif,
        "xmp": more.xmp,
        "dpi": more.dpi,
        "comment": more.comment,
    }
    image.info.update({name: value for name, value in told.items() if value})
    return image


def bare_image(picture: Picture) -> Image.Image:
    """Return the pixels and alpha of a picture that `check_pil` accepts as a PIL image."""
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
    return Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)


def is_deep(image: Image.Image) -> bool:
    """Return whether PIL would reduce the colours of this image, not loaded yet, to 8 bits."""
    if image.mode[0] in "IF":  # one channel, which PIL keeps at full depth
        return False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return bool(max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8)
    for codec, _, _, options in getattr(image, "tile", ()):
        if image.format == "PNG":
            return ";16" in options  # e.g. "RGB;16B"
        if image.format == "PPM" and isinstance(options, tuple) and codec != "raw":
            return bool(options[1] > 255)  # (mode, greatest value)
    return False


def _colour8(image: Image.Image) -> tuple[Array, Array | None]:
    if image.mode == "F":
        raise ImageError("The picture has 32-bit float pixels; zoo takes 8 or 16 bits a channel.")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        planes = np.asarray(image.convert(mode))
        return planes.reshape(*planes.shape[:2], -1), None
    planes = np.asarray(image.convert(mode + "A"))
    return planes[..., :-1], planes[..., -1]


def _grey16(image: Image.Image) -> tuple[Array, Array | None]:
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,):
        raise ImageError("The picture has 12-bit pixels; zoo takes 8 or 16 bits a channel.")
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        raise ImageError("The picture is stored as a 16-bit negative, which zoo does not read.")
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("The picture has 32-bit pixels; zoo takes 8 or 16 bits a channel.")
    pixels = values.astype(np.uint16)
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(pixels == transparent, 0, 65535)
    return pixels[..., None], None if alpha is None else alpha.astype(np.uint16)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert LAB, or CMYK by its embedded profile; without a usable one by PIL's formula."""
    profile: Any = ImageCms.createProfile("LAB")
    if image.mode == "CMYK":
        profile = io.BytesIO(image.info.get("icc_profile", b""))
    try:
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:
        converted = None
    return converted or image.convert("RGB")


def turned(plane: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1..8) of `[H, W, ...]`; 5..8 swap height and width."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)
