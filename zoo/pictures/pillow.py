"""Convert PIL images of any mode to Pictures and back, with orientation, profile, EXIF, alpha."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from zoo.errors import ImageError
from zoo.pictures.picture import Array, Picture, fill_transparent

# The EXIF entries that describe the photograph. Those that describe the layout of the file it came
# from (size, strips, orientation) would contradict the file that is written.
_DESCRIPTIVE_TAGS = {
    *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132),  # description, make, model, software, date
    *(0x013B, 0x013C, 0x8298, 0x4746, 0x4749),  # artist, computer, copyright, rating, its percent
    *(0x011A, 0x011B, 0x0128),  # resolution in x and y, its unit
    *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # Windows: title, comment, author, keywords, subject
}
_STALE_EXIF = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode to an upright Picture with its profile, EXIF and alpha.

    Modes 1, L and LA become grey uint8; I;16, and I with values in 0..65535, grey uint16; CMYK, by
    its embedded profile, and LAB become sRGB uint8; all others (P, YCbCr, HSV, ...) RGB uint8.
    Raises ImageError for other 32-bit pixels, and for a file whose colours have more than 8 bits a
    channel, because PIL would reduce them to 8.
    """
    if is_deep(image):
        raise ImageError(
            "PIL would cut this picture's colours to 8 bits a channel: pass the path of its file."
        )
    image.load()  # before its EXIF is read: a TIFF applies its orientation while loading
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        pixels, alpha = _grey16(image)
    elif image.mode in ("CMYK", "LAB"):
        pixels, alpha, profile = np.asarray(_to_srgb(image)), None, None
    else:
        pixels, alpha = _colour8(image)
    return compose(pixels, alpha, image, profile)


def compose(pixels: Array, alpha: Array | None, source: Image.Image, profile: Any) -> Picture:
    """Return a Picture of decoded planes, turned upright, with the metadata of `source`.

    pixels: `[H, W, C]`; alpha: `[H, W]` or None.
    """
    orientation, exif = _read_exif(source)
    pixels = _turn(pixels, orientation)
    if alpha is not None:
        alpha = _turn(alpha, orientation)
        pixels = fill_transparent(pixels, alpha)
    kind = "JPEG" if source.format == "MPO" else source.format or "PNG"
    return Picture(pixels, alpha, profile or None, exif, kind)


def check_pil(picture: Picture) -> None:
    """Raise ImageError for 16 bits a channel in colour or with alpha: PIL has no such mode."""
    deep = picture.pixels.dtype == np.uint16
    if deep and (picture.pixels.shape[2] > 1 or picture.alpha is not None):
        raise ImageError(
            "PIL has no mode for 16 bits a channel in colour or with transparency; `zoo upscale`"
            " writes them to a file, and zoo.upscale takes a uint16 array."
        )


def to_pil(picture: Picture) -> Image.Image:
    """Return a PIL image of mode L, LA, RGB, RGBA or I;16, with profile and EXIF in its `info`.

    Raises ImageError for 16 bits a channel in colour or with alpha: PIL has no such mode.
    """
    check_pil(picture)
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
    image = Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
    if picture.icc_profile:
        image.info["icc_profile"] = picture.icc_profile
    if picture.exif:
        image.info["exif"] = picture.exif
    return image


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


def _turn(plane: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1..8) of `[H, W, ...]`; 5..8 swap height and width."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)


def _read_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """Return the orientation, and the EXIF block without entries on the source file's layout."""
    orientation = 1
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        kept = Image.Exif()
        kept.endian = exif.endian  # maker notes often use the same byte order
        for tag in _DESCRIPTIVE_TAGS.intersection(exif):
            kept[tag] = exif[tag]
        for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            entries = {k: v for k, v in exif.get_ifd(group).items() if k not in _STALE_EXIF}
            if ExifTags.IFD.Interop in entries:
                entries[ExifTags.IFD.Interop] = exif.get_ifd(ExifTags.IFD.Interop)
            if entries:
                kept[group] = entries
        return orientation, kept.tobytes() if len(kept) else None
    except Exception:  # a damaged EXIF block is common, and no reason to refuse the photograph
        return orientation, None
