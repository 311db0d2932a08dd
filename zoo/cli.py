"""The command line: zoo list | info | upscale | segment | export | convert | verify | …"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

import zoo
from zoo.commands.convert import convert
from zoo.commands.engines import Engine
from zoo.commands.evaluate import evaluate
from zoo.commands.plain import say
from zoo.commands.train import train
from zoo.errors import InputError, OptionError, UnknownNameError, ZooError

# Each command imports torch itself, so that `zoo --help` does not wait for it.

app = typer.Typer(
    help="Enlarge photographs, and find the objects in them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(soft_wrap=True)

# Arguments and options that several commands share.
Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Pictures and folders; - for standard input.")
]
Out = Annotated[
    str,
    typer.Option("--out", "-o", help="A folder; for a single picture a file, or - for stdout."),
]
EngineName = Annotated[
    str, typer.Option("--engine", help="local, or ray: many processes or machines, and s3://….")
]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster: HOST:PORT or auto; else one is started.")
]
Workers = Annotated[
    int | None, typer.Option(help="Of --engine ray: processes with one model each.")
]
Gpus = Annotated[
    float | None, typer.Option(help="Of --engine ray: share of a GPU for each worker, 0..1.")
]
ReportFile = Annotated[
    str | None,
    typer.Option("--report", help="Of --engine ray: *.csv or *.parquet; else OUT/report.csv."),
]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave out named pictures, too, whose result exists."),
]
MaxPixels = Annotated[
    int | None, typer.Option(min=1, help="Refuse larger pictures; else 200 million.")
]
Model = Annotated[
    str,
    typer.Option("--model", "-m", help="A name of `zoo list`, a saved folder, *.onnx or hf-hub:…."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
Runtime = Annotated[
    str, typer.Option(help="torch, or openvino on CPUs, which takes some seconds to begin.")
]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    It exits with status 0, with 1 for a failure, 2 for a wrong call, 130 if it was interrupted
    (Ctrl+C) and 143 if it was asked to end (SIGTERM); in these cases, too, nothing half-written
    stays.
    """
    if threading.current_thread() is threading.main_thread():  # the only one that may ask for it
        signal.signal(signal.SIGTERM, _end)
    # Layers allocate hundreds of megabytes, which is faster in huge pages.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    for stream in (sys.stdout, sys.stderr):  # of an encoding that lacks a sign of ours, say
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments)
    except ZooError as error:
        say(Console(stderr=True, soft_wrap=True), f"error: {error}", style="red")
        sys.exit(2 if isinstance(error, InputError | OptionError | UnknownNameError) else 1)


def _end(number: int, frame: object) -> NoReturn:
    """Leave by way of all `finally` blocks, which remove temporary files."""
    sys.exit(128 + number)


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"zoo {zoo.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None: ...


@app.command("list")
def list_(
    pattern: Annotated[str, typer.Argument(help='A wildcard, such as "srresnet*".')] = "*",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Only with weights.")] = False,
) -> None:
    """List the models."""
    from zoo.commands.catalogue import overview

    console.print(overview(pattern, pretrained=pretrained))


@app.command()
def info(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="A model, model.tag, a saved folder, *.onnx or hf-hub:…."
        ),
    ] = None,
) -> None:
    """Show a model and its weights: what for, limits, data, licence, metrics.

    Without a model: versions, and the device and precision that "auto" stands for.
    """
    from zoo.commands.catalogue import description, installation

    for part in [installation()] if name is None else description(name):
        console.print(part, highlight=False)


@app.command()
def upscale(
    inputs: Inputs,
    out: Out,
    model: Model = "srresnet_x4.photo",
    tile: Annotated[
        str, typer.Option(help="auto, whole, or the side of the tiles in pixels.")
    ] = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "torch",
    tta: Annotated[
        bool, typer.Option("--tta", help="Average eight flips and rotations; 8 times slower.")
    ] = False,
    strength: Annotated[
        float | None,
        typer.Option(help="0..1: from the model's weights psnr to photo, which clean most."),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="jpeg, png, webp, tiff, …; else as the source.")
    ] = None,
    quality: Quality = 95,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    max_pixels: MaxPixels = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Stay within it, such as 2GB; else half of the installed memory, or all of it"
            " where strips can't help."
        ),
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    gpus: Gpus = None,
    report: ReportFile = None,
) -> None:
    """Enlarge pictures: zoo upscale holiday/ -o big/

    auto takes .psnr for clean pictures and .photo for all others; srresnet_x2.auto for 2 times.
    """
    from zoo.commands.upscale import upscale_files

    status = upscale_files(
        inputs,
        out,
        engine=Engine(engine, address=address, workers=workers, gpus=gpus, report=report),
        model=model,
        tile=tile,
        precision=precision,
        device=device,
        runtime=runtime,
        tta=tta,
        strength=strength,
        format=format,
        quality=quality,
        overwrite=overwrite,
        skip_existing=skip_existing,
        max_pixels=max_pixels,
        memory=memory,
    )
    raise typer.Exit(status)


@app.command()
def segment(
    inputs: Inputs,
    out: Out,
    kind: Annotated[str, typer.Option("--as", help="mask, overlay or cutout.")] = "mask",
    model: Model = "dynamic_unet",
    threshold: Annotated[float, typer.Option(help="Probability of the object's edge.")] = 0.5,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels at which the model looks; else its own.")
    ] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "torch",
    tta: Annotated[
        bool, typer.Option("--tta", help="Average with the mirrored picture; 2 times slower.")
    ] = False,
    format: Annotated[
        str | None, typer.Option(help="png, webp, tiff, …; else as the source, where that can.")
    ] = None,
    quality: Quality = 95,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    max_pixels: MaxPixels = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    gpus: Gpus = None,
    report: ReportFile = None,
) -> None:
    """Find the object in pictures: zoo segment cars/ -o cut/ --as cutout

    The zoo's weights know cars only: `zoo info dynamic_unet`. Train others for other objects.
    """
    from zoo.commands.segment import segment_files

    status = segment_files(
        inputs,
        out,
        engine=Engine(engine, address=address, workers=workers, gpus=gpus, report=report),
        kind=kind,
        model=model,
        threshold=threshold,
        size=size,
        precision=precision,
        device=device,
        runtime=runtime,
        tta=tta,
        format=format,
        quality=quality,
        overwrite=overwrite,
        skip_existing=skip_existing,
        max_pixels=max_pixels,
    )
    raise typer.Exit(status)


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A name of `zoo list`, a saved folder or hf-hub:…."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A file: *.onnx, or *.pt2 for torch.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a model for other programs: zoo export srresnet_x4 -o srresnet_x4.onnx"""
    from zoo.commands.export import export_file

    console.print(export_file(model, out, overwrite=overwrite), markup=False, highlight=False)


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="A model or model.tag; all that are bundled if left out.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of benchmark sets, or of Carvana: measure on it, too."),
    ] = None,
    sets: Annotated[list[str], typer.Option(help="Benchmark sets to measure on.")] = ["Set5"],  # noqa: B006
    native: Annotated[
        Path | None, typer.Option(help="Folder of Carvana's validation cars at full size.")
    ] = None,
) -> None:
    """Check the sha256 of weights, load them, and with --data measure what is published of them."""
    from zoo.commands.verify import run

    raise typer.Exit(run(name, data, sets, native, console))


@app.command()
def compare(
    images: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures and folders.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The sheet, such as sheet.png.")],
    models: Annotated[
        list[str], typer.Option("--model", "-m", help="As for upscale; can be given again.")
    ] = ["srresnet_x4.psnr", "srresnet_x4.perceptual"],  # noqa: B006
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Shrink the pictures first, to tell the PSNR.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw pictures enlarged by bicubic and by several models side by side."""
    from zoo.commands.compare import compare

    compare(images, models, out, shrink=shrink, overwrite=overwrite)
    console.print(f"Look at {out}", markup=False, highlight=False)


@app.command()
def demo(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Pictures and folders; samples if left out.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder.")] = Path("demo"),
    model: Model = "srresnet_x4",
    overwrite: Overwrite = False,
) -> None:
    """Enlarge sample photographs, or your own, and show the gain over bicubic enlargement."""
    from zoo.commands.demo import run_demo

    raise typer.Exit(run_demo(images or [], out, model, overwrite=overwrite))


@app.command()
def web(
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets other computers in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Else the first free one from 7860 on.")
    ] = None,
    device: Device = "auto",
    max_megabytes: Annotated[float, typer.Option(help="Of a file.")] = 50,
    max_megapixels: Annotated[float, typer.Option(help="Of a photograph and of its result.")] = 100,
    max_seconds: Annotated[float, typer.Option(help="Of an enlargement.")] = 300,
) -> None:
    """Open a page for the browser: enlarge photographs, and cut out cars."""
    from zoo.commands.web import run
    from zoo.web.limits import Limits

    limits = Limits(megabytes=max_megabytes, megapixels=max_megapixels, seconds=max_seconds)
    run(host, port, limits, device)


app.command()(convert)
app.command()(train)
app.command("eval")(evaluate)

if __name__ == "__main__":
    main()
