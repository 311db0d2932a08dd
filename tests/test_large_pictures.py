"""Pictures in strips: `zoo upscale` gives the same file contents as in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import files, piped, run
from pictures import SRGB, camera_exif, random_pixels
from PIL import Image, PngImagePlugin

from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import read_image, write_image
from zoo.pictures.metadata import Metadata
from zoo.pictures.picture import Picture

pytest.importorskip("pyvips")

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>zoo</x:xmpmeta>"
LEAST = "801MB"  # for tiles of 32 pixels of the tiny network: all but thumbnails go in strips


def upscale_twice(source: Path, target: str, model: Path, *, memory: str = LEAST) -> list[Path]:
    """The result of a source in memory, and in strips."""
    results = []
    call = ("upscale", source, "-m", model, "--tile", "32", "-o")
    for kind, options in (("whole", ()), ("strips", ("--memory", memory))):
        other = "large" if kind == "whole" else "picture"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Upscaler, other, lambda *_: pytest.fail("it went the other way"))
            out = source.parent / kind / target
            result = run(*call, out, *options)
        assert result.status == 0, result.stderr
        assert files(out.parent) == {target}
        results.append(out)
    return results


def assert_same(whole: Path, strips: Path) -> None:
    """Pixels are equal, and metadata byte for byte."""
    expected, found = read_image(whole), read_image(strips)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    assert found.icc_profile == expected.icc_profile
    assert found.exif == expected.exif
    assert found.metadata == expected.metadata


def noise(*shape: int, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(random_pixels(*shape, dtype=dtype))


def cutout() -> np.ndarray:
    """RGBA with holes of several sizes, black beneath."""
    pixels = random_pixels(243, 321, 4)
    pixels[..., 3] = np.maximum(pixels[..., 3], 1)
    pixels[10:200, 20:180] = 0
    pixels[::7, ::5] = 0
    return pixels


def write_deep(path: Path, channels: int, *, alpha: bool) -> None:
    planes = random_pixels(200, 190, channels, dtype=np.uint16)
    opacity = random_pixels(200, 190, dtype=np.uint16) if alpha else None
    write_image(Picture(planes, opacity, format={".png": "PNG", ".tif": "TIFF"}[path.suffix]), path)


def png_with_all(path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Sunset")
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options = {"dpi": (300, 200), "icc_profile": SRGB, "exif": camera_exif(6)}
    noise(243, 321, 3).save(path, pnginfo=texts, **options)


def tiff_with_all(path: Path, order: str = "II") -> None:
    """In either byte order, which that of its EXIF is."""
    plain = Picture(
        random_pixels(243, 321, 3),
        icc_profile=SRGB,
        exif=exif_of(order),
        format="TIFF",
        metadata=Metadata(dpi=(300.0, 200.0), xmp=XMP, iptc=b"\x1c\x02\x05\0\x03zoo"),
    )
    write_image(plain, path)
    assert path.read_bytes()[:2] == order.encode()


def exif_of(order: str) -> bytes:
    exif = Image.Exif()
    exif.endian = {"II": "<", "MM": ">"}[order]
    exif[0x010F] = "Zoo Cameras"
    exif[0x0131] = "a program"
    return exif.tobytes()


SOURCES: dict[str, Callable[[Path], object]] = {
    "all.png": png_with_all,
    "grey.png": lambda path: noise(243, 321).save(path),
    "grey as colour.png": lambda path: noise(243, 321).convert("RGB").save(path),
    "grey with alpha.png": lambda path: Image.fromarray(cutout()).convert("LA").save(path),
    "cutout.png": lambda path: Image.fromarray(cutout()).save(path),
    "deep.png": lambda path: write_deep(path, 3, alpha=False),
    "deep cutout.png": lambda path: write_deep(path, 3, alpha=True),
    "deep grey.png": lambda path: write_deep(path, 1, alpha=False),
    "deep grey with alpha.png": lambda path: write_deep(path, 1, alpha=True),
    "all.tif": tiff_with_all,
    "big endian.tif": lambda path: tiff_with_all(path, "MM"),
    "grey.tif": lambda path: noise(243, 321).save(path),
    "cutout.tif": lambda path: Image.fromarray(cutout()).save(path),
    "deep.tif": lambda path: write_deep(path, 3, alpha=False),
    "deflated.tif": lambda path: noise(243, 321, 3).save(path, compression="tiff_adobe_deflate"),
    "turned.tif": lambda path: noise(243, 321, 3).save(path, tiffinfo={0x0112: 8}),
    "tiled.tif": lambda path: tifffile.imwrite(
        path, random_pixels(243, 321, 3), tile=(64, 64), photometric="rgb", compression="zlib"
    ),
    "planar.tif": lambda path: tifffile.imwrite(
        path, random_pixels(3, 243, 321), planarconfig="separate", photometric="rgb"
    ),
    "photo.jpg": lambda path: noise(243, 321, 3).save(
        path,
        quality=90,
        exif=camera_exif(),
        icc_profile=SRGB,
        xmp=XMP,
        comment=b"hello",
        dpi=(96, 96),
    ),
    "grey.jpg": lambda path: noise(243, 321).save(path),
    "no density.jpg": lambda path: noise(243, 321, 3).save(path),
}


@pytest.mark.parametrize("name", SOURCES)
def test_strips_give_the_same_picture(name: str, tiny_upscaler: Path, tmp_path: Path) -> None:
    SOURCES[name](tmp_path / name)
    assert_same(*upscale_twice(tmp_path / name, name, tiny_upscaler))


@pytest.mark.parametrize("target", ["b.jpg", "b.png", "b.tif"])
@pytest.mark.parametrize("name", ["all.png", "all.tif", "photo.jpg"])
def test_strips_give_the_same_picture_in_other_formats(
    name: str, target: str, tiny_upscaler: Path, tmp_path: Path
) -> None:
    SOURCES[name](tmp_path / name)
    assert_same(*upscale_twice(tmp_path / name, target, tiny_upscaler))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(
    orientation: int, tiny_upscaler: Path, tmp_path: Path
) -> None:
    source = tmp_path / "a.jpg"
    noise(243, 321, 3).save(source, exif=camera_exif(orientation))
    whole, strips = upscale_twice(source, "b.png", tiny_upscaler)
    assert_same(whole, strips)
    assert Image.open(strips).size == ((642, 486) if orientation < 5 else (486, 642))


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "CMYK"), ("a.png", "P"), ("a.webp", "RGB")])
def test_what_pyvips_would_read_otherwise_is_read_in_memory(
    name: str, mode: str, tiny_upscaler: Path, tmp_path: Path
) -> None:
    source = tmp_path / name
    noise(360, 480, 3).convert(mode).save(source)
    assert_same(*upscale_twice(source, "b.png", tiny_upscaler, memory="810MB"))


def test_an_opaque_alpha_plane_is_dropped_where_the_format_has_none(
    tiny_upscaler: Path, tmp_path: Path
) -> None:
    source = tmp_path / "a.png"
    noise(243, 321, 3).convert("RGBA").save(source)
    assert_same(*upscale_twice(source, "b.jpg", tiny_upscaler))
    Image.fromarray(cutout()).save(source)
    call = ("upscale", source, "-m", tiny_upscaler, "--tile", "32", "--memory", LEAST)
    result = run(*call, "-o", tmp_path / "out" / "c.jpg")
    assert result.status == 1
    assert "can't hold the picture's transparency" in result.stderr
    assert files(tmp_path / "out") == set()


@pytest.mark.parametrize("quality", [30, 95])
def test_a_jpeg_has_the_quality_asked_for(
    quality: int, tiny_upscaler: Path, tmp_path: Path
) -> None:
    source = tmp_path / "a.png"
    noise(243, 321, 3).save(source)
    images = []
    for name, options in (("b.jpg", ()), ("c.jpg", ("--memory", LEAST))):
        call = ("upscale", source, "-o", tmp_path / name, "-m", tiny_upscaler, "--tile", "32")
        assert run(*call, "--quality", quality, *options).status == 0
        images.append(Image.open(tmp_path / name))
    whole, strips = images
    assert strips.quantization == whole.quantization
    assert strips.layer == whole.layer  # no chroma is left out
    assert strips.applist == whole.applist


def test_tiff_has_tiles_and_a_pyramid(tiny_upscaler: Path, tmp_path: Path) -> None:
    tiff_with_all(tmp_path / "a.tif")
    _, strips = upscale_twice(tmp_path / "a.tif", "b.tif", tiny_upscaler)
    with tifffile.TiffFile(strips) as file:
        sizes = [page.shape for page in file.pages]
        assert sizes == [(486, 642, 3), (243, 321, 3), (122, 161, 3)]
        assert all(page.is_tiled for page in file.pages)
        assert [page.is_reduced for page in file.pages] == [False, True, True]
        full, half, _ = (page.asarray().astype(float) for page in file.pages)
    means = full[:, :642].reshape(243, 2, 321, 2, 3).mean(axis=(1, 3))
    assert np.abs(means - half).max() <= 0.5
    assert Image.open(strips).size == (642, 486)


def test_a_piped_picture(tiny_upscaler: Path, tmp_path: Path) -> None:
    noise(243, 321, 3).save(tmp_path / "a.png")
    call = ("upscale", "-", "-o", "-", "-m", tiny_upscaler, "--tile", "32", "--format", "png")
    data = (tmp_path / "a.png").read_bytes()
    whole, strips = (piped(*call, *options, stdin=data) for options in ((), ("--memory", LEAST)))
    assert strips.status == 0, strips.stderr
    (tmp_path / "whole.png").write_bytes(whole.stdout)
    (tmp_path / "strips.png").write_bytes(strips.stdout)
    assert_same(tmp_path / "whole.png", tmp_path / "strips.png")
