"""What each step of a photograph of 12 megapixels costs on this machine.

python benchmarks/scaling.py                        # takes minutes; let nothing else run
python benchmarks/scaling.py --height 300 --width 400 --crop 40 --repeats 1 --out /tmp/tiny

Measures decode, network, encode, and reads and writes through moto's S3 server on this machine.
Writes OUT/scaling.json, of which `publish.py pages` makes the table in docs/scaling.md. Needs the
extras `dev` or `ray` with `moto[server]`, and `samples`.
"""

from __future__ import annotations

import datetime
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import skimage.data
import typer
from common import RESULTS, Dirty, check_results, cost, write_result
from environment import environment
from rich import print

from zoo.create import create_model
from zoo.errors import ZooError
from zoo.inference.upscaler import Upscaler
from zoo.pictures.files import read_image, write_image
from zoo.pictures.picture import Array, Picture
from zoo.ray.storage import Storage, open_storage
from zoo.registry import get_weights

NETWORKS = ("srresnet_x2.fast", "srresnet_x2.psnr", "srresnet_x4.fast", "srresnet_x4.psnr")
PROTOCOL = (
    "seconds for one photograph, medians; one after the other, with all threads; JPEG of quality "
    "95; the network on a crop, scaled by the pixels; S3 is moto's server on the same machine, so "
    "that it takes a share of the processor and no way through a network"
)
_BUCKET = "photographs"


def main(
    height: Annotated[int, typer.Option(min=8, help="Of the photograph, in pixels.")] = 3000,
    width: Annotated[int, typer.Option(min=8, help="Of the photograph, in pixels.")] = 4000,
    crop: Annotated[int, typer.Option(min=8, help="Side of what networks enlarge.")] = 768,
    repeats: Annotated[int, typer.Option(min=1, help="Of each step.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    dirty: Dirty = False,
) -> None:
    """Measure the steps of one photograph on this machine."""
    check_results(out, dirty=dirty)
    source = mirrored(skimage.data.coffee(), height, width)
    side = min(crop, height, width)
    part = source[:side, :side]
    with tempfile.TemporaryDirectory() as folder, s3_server() as (storage, bucket):
        place = Path(folder)
        photograph = encoded(source, place / "source.jpg", repeats)
        photograph["decode"] = median(lambda: read_image(place / "source.jpg"), repeats)
        photograph |= carried(storage, bucket, place / "source.jpg", repeats)
        networks = {}
        for name in NETWORKS:
            upscaler = Upscaler(name)
            upscaler.array(part[:32, :32])  # loads what loads once
            small = upscaler.array(part)
            seconds = median(lambda upscaler=upscaler: upscaler.array(part), repeats)
            result = mirrored(small, height * upscaler.scale, width * upscaler.scale)
            row = encoded(result, place / f"{name}.jpg", repeats)
            row |= carried(storage, bucket, place / f"{name}.jpg", repeats)
            row["network"] = seconds * height * width / side**2
            row["multiply_adds_per_pixel"] = per_pixel(name)
            networks[name] = row
            print(name, row)
    result = {
        "model": "scaling",
        "weights_sha256": {name: get_weights(name).sha256 for name in NETWORKS},
        "start_sha256": None,
        "protocol": PROTOCOL,
        "height": height,
        "width": width,
        "crop": side,
        "repeats": repeats,
        "photograph": photograph,
        "networks": networks,
        "date": datetime.date.today().isoformat(),
        "environment": environment(),
    }
    write_result(result, out, dirty=dirty)


def mirrored(pixels: Array, height: int, width: int) -> Array:
    """Pixels `[H, W, C]` mirrored at their borders until they fill a size, as one photograph."""
    rows, columns = max(height - pixels.shape[0], 0), max(width - pixels.shape[1], 0)
    filled = np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
    return filled[:height, :width]


def encoded(pixels: Array, file: Path, repeats: int) -> dict[str, float]:
    """Seconds to write a JPEG, and its bytes."""
    picture = Picture(pixels, format="JPEG")
    seconds = median(lambda: write_image(picture, file, overwrite=True), repeats)
    return {"encode": seconds, "bytes": file.stat().st_size}


def carried(storage: Storage, bucket: str, file: Path, repeats: int) -> dict[str, float]:
    """Seconds to write a file to the server and to read it from there, as workers do both."""
    path, content = f"{bucket}/{file.name}", file.read_bytes()

    def write() -> None:
        with storage.writing(path) as place:
            place.write_bytes(content)

    def read() -> None:
        with storage.reading(path) as copy:
            copy.stat()

    return {"write": median(write, repeats), "read": median(read, repeats)}


def per_pixel(name: str) -> float:
    """Multiply-adds of a network for each pixel of its input, on a large input."""
    side = 256
    found = cost(create_model(name), side, side, label="here")
    return found["multiply_adds_here"] / side**2


def median(work: Callable[[], object], repeats: int) -> float:
    """Seconds that some work takes; a first time warms up and is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


@contextmanager
def s3_server() -> Iterator[tuple[Storage, str]]:
    """The storage of an S3 server in a thread, and the name of an empty bucket in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host = "{}:{}".format(*server.get_host_and_port())
        os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
        options = f"endpoint_override={host}&scheme=http&allow_bucket_creation=true"
        storage, bucket = open_storage(f"s3://{_BUCKET}?{options}")
        storage.filesystem.create_dir(bucket)
        yield storage, bucket
    finally:
        server.stop()


if __name__ == "__main__":
    try:
        typer.run(main)
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed: pip install '.[dev]'")
    except ZooError as error:
        sys.exit(f"error: {error}")
