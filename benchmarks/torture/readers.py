"""The readers of other people's files: whole files to damage, and how each is read."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms
from safetensors.torch import save

import zoo
from zoo.inference.onnx_model import OnnxModel
from zoo.pictures.files import read_image, write_image
from zoo.pictures.formats import WRITABLE
from zoo.pictures.large.reading import read_large
from zoo.pictures.picture import Picture
from zoo.seg.data.run_lengths import decode_runs, encode_runs, read_runs
from zoo.store.folder import CONFIG_FILE, WEIGHTS_FILE
from zoo.store.foreign import read_foreign
from zoo.train.run import load_plan

RECIPES = Path(__file__).parents[1] / "recipes"
_PIXELS = 10**6  # of a picture, at most
_SHAPE = (20, 30)


class Reader(NamedTuple):
    """One of zoo's readers.

    name: of the file to damage; its folder is the reader's own.
    prepare: puts what belongs beside the file into the folder, and returns whole files.
    read: what is tried with the damaged one.
    """

    name: str
    prepare: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]


def _pictures(folder: Path) -> list[bytes]:
    """All formats that can be written, with and without alpha, 16 bits and metadata, and GIF."""
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    pixels = np.stack([8 * x, 12 * y, 5 * (x + y)], -1).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Zoo", 6
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExposureTime: 0.01}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    whole = []
    for name in (*WRITABLE, "GIF"):
        told = (
            {}
            if name in ("BMP", "PPM", "GIF")
            else {"exif": exif.tobytes(), "icc_profile": profile}
        )
        for options in ({}, told):
            stream = io.BytesIO()
            image.save(stream, name, **options)
            whole.append(stream.getvalue())
    alpha = pixels[..., 0]
    deep = pixels.astype(np.uint16) * 257
    for suffix, picture in (
        (".png", Picture(pixels, alpha)),
        (".webp", Picture(pixels, alpha)),
        (".tif", Picture(pixels, alpha)),
        (".png", Picture(deep)),
        (".tif", Picture(deep[..., :1])),
    ):
        write_image(picture, folder / f"whole{suffix}", overwrite=True)
        whole.append((folder / f"whole{suffix}").read_bytes())
    return whole


def _read_large(file: Path) -> None:
    folder = file.parent / "scratch"
    folder.mkdir(exist_ok=True)
    try:
        read_large(file, folder, max_pixels=_PIXELS).close()
    finally:
        shutil.rmtree(folder)


def _network() -> zoo.ZooModel:
    torch.manual_seed(0)
    return zoo.create_model("srresnet_x2", depth=1, width=4)


def _weights(folder: Path) -> list[bytes]:
    """With our checksum, and as other programs write them."""
    network = _network()
    whole = (zoo.save_model(network, folder) / WEIGHTS_FILE).read_bytes()
    return [whole, save(network.state_dict())]


def _configs(folder: Path) -> list[bytes]:
    whole = (zoo.save_model(_network(), folder) / CONFIG_FILE).read_bytes()
    content = json.loads(whole)
    more = {**content, "image_size": 64, "split": {"validation": ["a"], "held_out": ["b"]}}
    other = {**content, "architecture": "dynamic_unet", "options": {"encoder": "resnet18"}}
    return [whole, json.dumps(more).encode(), json.dumps(other).encode()]


def _exported(folder: Path) -> list[bytes]:
    file = folder / "whole.onnx"
    zoo.export_model(_network(), file, overwrite=True)
    return [file.read_bytes()]


def _run_onnx(file: Path) -> None:
    zoo.upscale(np.zeros((24, 20, 3), np.uint8), OnnxModel(file))


def _pickles(folder: Path) -> list[bytes]:
    state = _network().state_dict()
    whole = []
    for content, zipped in ((state, True), ({"params": state}, True), (state, False)):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=zipped)
        whole.append(stream.getvalue())
    return whole


def _tables(folder: Path) -> list[bytes]:
    mask = np.zeros(_SHAPE, np.uint8)
    mask[3:9, 4:20] = 1
    lines = [
        "img,rle_mask",
        *(f"car{n}_0{n}.jpg,{encode_runs(np.roll(mask, n))}" for n in range(5)),
    ]
    text = "\n".join(lines)
    return [text.encode(), text.replace(",", ";").encode("utf-16")]


def _decode_table(file: Path) -> None:
    for text in read_runs(file).values():
        decode_runs(text, _SHAPE)


def _recipes(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(RECIPES.glob("*.yaml"))]


READERS = {
    "picture": Reader("damaged", _pictures, lambda file: read_image(file, max_pixels=_PIXELS)),
    "large picture": Reader("damaged", _pictures, _read_large),
    "weights": Reader(WEIGHTS_FILE, _weights, lambda file: zoo.load_model(file.parent)),
    "config": Reader(CONFIG_FILE, _configs, lambda file: zoo.load_model(file.parent)),
    "onnx": Reader("damaged.onnx", _exported, _run_onnx),
    "pickle": Reader("damaged.pth", _pickles, read_foreign),
    "run lengths": Reader("damaged.csv", _tables, _decode_table),
    "recipe": Reader("damaged.yaml", _recipes, load_plan),
}
