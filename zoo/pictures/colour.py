"""ICC profiles made from other statements about colour, and grey profiles applied.

Sources: ICC.1:2001-04 (profiles with a matrix and curves); ITU-T H.273 (code points of cICP and
AVIF); W3C PNG, third edition, section 4.3 (which statement outranks which).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from zoo.errors import ImageError
from zoo.pictures.metadata import Chunks
from zoo.pictures.picture import Array, Picture

# x and y of white, red, green, blue
Primaries = tuple[float, float, float, float, float, float, float, float]
_D65 = (0.3127, 0.3290)
_SRGB: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: dict[int, Primaries] = {
    1: _SRGB,
    2: _SRGB,  # unspecified
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])  # white of the profile connection space


def _srgb_light(v: Array) -> Array:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _power(gamma: float) -> Callable[[Array], Array]:
    return lambda v: v**gamma


# Code point -> light in [0, 1] of a value in [0, 1]. The curves of BT.709 and BT.2020 describe
# cameras; what viewers show, and mean by them in photographs, is sRGB's curve.
_TRANSFERS: dict[int, Callable[[Array], Array]] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15), _srgb_light),
    4: _power(2.2),
    5: _power(2.8),
    8: _power(1.0),
}


def profile_of(picture: Picture) -> bytes | None:
    """Return the profile that says what the picture's colours mean; None for sRGB.

    Raises ImageError for high dynamic range, which has none.
    """
    if picture.icc_profile or not picture.metadata.colour:
        return picture.icc_profile
    return _profile_of(picture.metadata.colour, grey=picture.pixels.shape[2] == 1)


def _profile_of(chunks: Chunks, *, grey: bool) -> bytes | None:
    primaries = _SRGB
    light: Callable[[Array], Array] = _srgb_light
    known = dict(chunks)
    if len(cicp := known.get(b"cICP", b"")) == 4:
        if cicp[0] not in _PRIMARIES or cicp[1] not in _TRANSFERS:
            raise ImageError(
                f"the picture's colours (primaries {cicp[0]}, transfer {cicp[1]} of ITU-T H.273: "
                "high dynamic range, or rare) can be kept in PNG files alone."
            )
        primaries, light = _PRIMARIES[cicp[0]], _TRANSFERS[cicp[1]]
    elif b"sRGB" not in known:
        if len(data := known.get(b"cHRM", b"")) == 32:
            values = struct.unpack(">8I", data)
            primaries = tuple(value / 1e5 for value in values)
        gamma = struct.unpack(">I", known[b"gAMA"])[0] if len(known.get(b"gAMA", b"")) == 4 else 0
        if gamma and abs(gamma - 45455) > 100:  # 1/2.2 stands for sRGB's curve
            light = _power(100_000 / gamma)
    if light is _srgb_light and (grey or np.allclose(primaries, _SRGB, atol=2e-4)):
        return None
    curve = light(np.linspace(0, 1, 4096))
    return make_profile(None if grey else primaries, [curve])


def make_profile(primaries: Primaries | None, curves: list[Array]) -> bytes:
    """Return an ICC profile, version 2, of RGB with these primaries, or of grey.

    primaries: None for grey.
    curves: the light in [0, 1] of evenly spaced values; one for all channels, or one for each.
    Raises ImageError for primaries that span no colours.
    """
    white = _xyz(*(primaries[:2] if primaries else _D65))
    tags = [
        (b"desc", _description("made by zoo from the file's statements about its colours")),
        (b"cprt", b"text\0\0\0\0CC0\0"),
        (b"wtpt", _xyz_tag(_D50)),
    ]
    names: tuple[bytes, ...] = (b"kTRC",)
    if primaries:
        columns = np.stack([_xyz(*primaries[at : at + 2]) for at in (2, 4, 6)], axis=1)
        try:
            columns = columns * np.linalg.solve(columns, white)
        except np.linalg.LinAlgError as error:
            raise ImageError("the file's primary colours (cHRM) span no colours.") from error
        cone = (_BRADFORD @ _D50) / (_BRADFORD @ white)
        columns = np.linalg.inv(_BRADFORD) @ np.diag(cone) @ _BRADFORD @ columns
        tags += [
            (n, _xyz_tag(c)) for n, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)
        ]
        names = (b"rTRC", b"gTRC", b"bTRC")
    tags += [(name, _curve(curves[at % len(curves)])) for at, name in enumerate(names)]
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    space = b"RGB " if primaries else b"GRAY"
    header = struct.pack(
        ">I4sI4s4s4s12s4s28x12s48x", start + len(body), b"", 0x02400000, b"mntr", space, b"XYZ ",
        struct.pack(">6H", 2024, 1, 1, 0, 0, 0), b"acsp", _xyz_tag(_D50)[8:],
    )  # fmt: skip
    return header + struct.pack(">I", len(tags)) + table + body


def _xyz(x: float, y: float) -> Array:
    if y <= 0:
        raise ImageError("the file's primary colours (cHRM) span no colours.")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz_tag(values: Array) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _curve(light: Array) -> bytes:
    points = np.rint(np.clip(light, 0, 1) * 65535).astype(">u2")
    return b"".join([b"curv\0\0\0\0", struct.pack(">I", len(points)), points.tobytes()])


def _description(text: str) -> bytes:
    data = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + bytes(4 + 4 + 2 + 1 + 67)


def is_grey_profile(profile: bytes | None) -> bool:
    """Return whether a profile describes grey values, and so means nothing in RGB."""
    return profile is not None and profile[16:20] == b"GRAY"


def grey_to_srgb(pixels: Array, profile: bytes) -> Array:
    """Convert grey `[H, W, 1]` uint8 from its profile to sRGB; by a damaged one unchanged."""
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        shown = ImageCms.profileToProfile(
            levels,
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.NOOPTIMIZE,  # whose coarse table is wrong by 7 levels in the dark
        )
    except (ImageCms.PyCMSError, ValueError):
        return pixels
    table = np.asarray(shown)[0, :, 1]
    return table[pixels]
