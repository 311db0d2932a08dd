"""The web page without a browser: limits, both tabs, folders, and what the server gives out."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml
from commands import run
from PIL import Image
from torch import nn

import zoo
from zoo.errors import ImageError, InputError
from zoo.pictures.files import read_image
from zoo.web import cutout
from zoo.web.enlarge import choices, enlarge
from zoo.web.folders import Folders, check_here, while_here
from zoo.web.limits import Clock, Limits
from zoo.web.samples import write_samples
from zoo.web.uploads import read_upload

ROOT = Path(__file__).parents[1]
FAST = "srresnet_x2.fast"
TITLE = '"title":"zoo"'  # in what the browser makes the page of


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A JPEG of 40 × 32 pixels."""
    file = tmp_path / "brought" / "cat.jpg"
    file.parent.mkdir()
    Image.fromarray(skimage.data.chelsea()[100:132, 100:140]).save(file, quality=90)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def ignore(share: float) -> None:
    """A progress hook."""


# Limits


@pytest.mark.parametrize("name", ["megabytes", "megapixels", "seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_allows_something(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--max-{name} .* numbers above 0"):
        Limits(**{name: value})


def test_a_limit_on_the_command_line() -> None:
    result = run("web", "--max-seconds", 0)
    assert result.status == 2
    assert "--max-seconds 0.0 allows nothing" in result.stderr


def broken(content: bytes) -> bytes:
    return content[: len(content) // 2]


def pages(content: bytes) -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "limits", "sentence"),
    [
        (lambda _: b"Dear diary", Limits(), "cat.jpg: the file is no picture that zoo reads"),
        (lambda _: b"", Limits(), "cat.jpg: the file is empty."),
        (broken, Limits(), "cat.jpg: the file is damaged"),
        (pages, Limits(), "cat.jpg: the file holds several frames or pages"),
        (bytes, Limits(megabytes=1e-4), "MB, and this page takes 0.0001 MB."),
        (bytes, Limits(megapixels=0.001), "has 40 × 32 pixels, and this page takes 0.001 million"),
        (
            bytes,
            Limits(megapixels=0.002),
            "would have 80 × 64 pixels, and this page makes 0.002 million; choose a model that",
        ),
    ],
    ids=["text", "empty", "damaged", "pages", "bytes", "pixels", "pixels of the result"],
)
def test_a_refused_file_gets_a_sentence_without_its_folder(
    change, limits: Limits, sentence: str, photograph: Path, folder: Path
) -> None:
    photograph.write_bytes(change(photograph.read_bytes()))
    with pytest.raises(ImageError) as caught:
        enlarge(str(photograph), FAST, folder, limits, progress=ignore)
    assert sentence in str(caught.value)
    assert str(photograph.parent) not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_missing(photograph: Path) -> None:
    with pytest.raises(InputError, match=r"^Choose a photograph first\.$"):
        read_upload(None, Limits())
    photograph.unlink()
    with pytest.raises(ImageError, match=r"^cat\.jpg: there is no such file\.$"):
        read_upload(str(photograph), Limits())


def test_a_job_that_takes_too_long_ends(photograph: Path, folder: Path) -> None:
    cut = photograph.with_suffix(".png")
    Image.open(photograph).convert("RGBA").save(cut)  # colour, then alpha: progress between
    with pytest.raises(ImageError, match=r"would take about .*, and this page stops at"):
        enlarge(str(cut), FAST, folder, Limits(seconds=1e-9), progress=ignore)
    assert list(folder.iterdir()) == []


def test_what_is_finished_is_never_too_late() -> None:
    told: list[float] = []
    Clock(Limits(seconds=1e-9), told.append)(1.0)
    assert told == [1.0]


# Enlarge


@pytest.mark.parametrize("model", [FAST, "auto", "srresnet_x1.photo"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_file_has_the_pixels_of_upscale(
    model: str, mode: str, photograph: Path, folder: Path
) -> None:
    file = photograph.with_suffix(".png")
    source = Image.open(photograph).convert(mode)
    if mode == "RGBA":
        source.putalpha(Image.linear_gradient("L").resize(source.size))
    source.save(file)
    told: list[float] = []
    result = enlarge(str(file), model, folder, Limits(), progress=told.append)
    made, expected = Image.open(result.file), zoo.upscale(file, model)
    assert made.format == "PNG"
    assert made.mode == expected.mode
    np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))
    scale = made.width // 40
    assert result.file.name == f"cat_x{scale}.png"
    assert f"40 × 32 became {40 * scale} × {32 * scale} in " in result.told
    assert told[-1] == 1.0
    for before, after in (result.views, result.details):
        assert Image.open(before).size == Image.open(after).size


def test_metadata_and_the_chosen_weights(photograph: Path, folder: Path) -> None:
    source = Image.open(photograph)
    exif = Image.Exif()
    exif[271] = "Camera"  # the maker
    source.save(photograph, quality=40, exif=exif)
    result = enlarge(str(photograph), "auto", folder, Limits(), progress=ignore)
    assert read_image(result.file).exif is not None
    assert "srresnet_x4.photo, chosen because it is a JPEG of quality 40." in result.told


def test_a_large_result_is_shown_small(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    Image.new("RGB", (1000, 10), "teal").save(file)
    result = enlarge(str(file), FAST, folder, Limits(), progress=ignore)
    assert Image.open(result.file).size == (2000, 20)
    assert {Image.open(view).size for view in result.views} == {(1600, 16)}


@pytest.mark.parametrize("name", ["hf-hub:a/b", "https://a.b/c.safetensors", "srresnet_x4", "."])
def test_no_model_beyond_the_list(name: str, photograph: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="not among those of the page"):
        enlarge(str(photograph), name, folder, Limits(), progress=ignore)


def test_every_model_of_the_list_has_weights() -> None:
    names = set(choices().values())
    known = {weights for model in zoo.list_models() for weights in zoo.list_weights(model)}
    assert names - known == {"auto", "srresnet_x2.auto"}
    assert {"srresnet_x4.photo", FAST, "srresnet_x1.photo"} <= names


# Cut out


class Forwards:
    """Counts the networks' layers that run, of any network."""

    def __init__(self) -> None:
        self.count = 0
        self.handle = nn.modules.module.register_module_forward_hook(self._note)

    def _note(self, *_: object) -> None:
        self.count += 1


@pytest.fixture
def forwards() -> Iterator[Forwards]:
    counter = Forwards()
    yield counter
    counter.handle.remove()


def test_a_threshold_needs_no_network(photograph: Path, folder: Path, forwards: Forwards) -> None:
    found = cutout.find(str(photograph), folder, Limits())
    ran = forwards.count
    assert ran > 0
    sums = []
    for at in (0.01, 0.9):
        file = cutout.write(found, "mask", at, Limits())
        shown = cutout.show(found, "mask", at)
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.asarray(Image.open(shown)))
        sums.append(int(np.asarray(Image.open(file), int).sum()))
    assert sums[0] > sums[1]
    assert forwards.count == ran


@pytest.mark.parametrize("kind", ["mask", "overlay", "cutout"])
@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.9])
def test_the_file_has_the_pixels_of_the_segmenter(
    kind: str, threshold: float, photograph: Path, folder: Path
) -> None:
    found = cutout.find(str(photograph), folder, Limits())
    file = cutout.write(found, kind, threshold, Limits())
    expected = zoo.Segmenter(threshold=threshold).picture(read_image(photograph), kind)
    made = read_image(file)
    np.testing.assert_array_equal(made.pixels, expected.pixels)
    assert (made.alpha is None) == (expected.alpha is None or expected.alpha.min() == 255)
    if made.alpha is not None:
        np.testing.assert_array_equal(made.alpha, expected.alpha)
    assert file.name == f"cat_{kind}.png"


def test_a_photograph_without_a_car_gets_a_hint(photograph: Path, folder: Path) -> None:
    assert "The network is unsure" in cutout.find(str(photograph), folder, Limits()).told


@pytest.mark.parametrize("kind", ["masks", "../mask"])
def test_another_kind(kind: str, photograph: Path, folder: Path) -> None:
    found = cutout.find(str(photograph), folder, Limits())
    with pytest.raises(InputError, match="is none of mask, overlay, cutout"):
        cutout.show(found, kind, 0.5)


# Folders


def test_a_visitor_can_name_no_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    folders = Folders(root)
    for visitor in ("../../elsewhere", "/etc", "", "a"):
        folder = folders.fresh(visitor, "enlarge")
        assert folder.resolve().is_relative_to(root)
    assert list(tmp_path.iterdir()) == [root]
    assert len(list(root.iterdir())) == 4


def test_a_new_job_replaces_the_last_and_leaving_takes_all(tmp_path: Path) -> None:
    folders, upload = Folders(tmp_path), tmp_path / "upload.jpg"
    upload.touch()
    folders.note("a", str(upload))
    folders.note("a", None)
    first, other = folders.fresh("a", "enlarge"), folders.fresh("a", "cutout")
    neighbour = folders.fresh("b", "enlarge")
    (first / "result.png").touch()
    second = folders.fresh("a", "enlarge")
    assert second != first
    assert not first.exists()
    assert other.is_dir()
    folders.forget("a")
    folders.forget("a")
    assert list(tmp_path.iterdir()) == [neighbour.parent]


def test_a_job_ends_quietly_when_its_visitor_leaves(tmp_path: Path, photograph: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    folders = Folders(root)
    folder = folders.fresh("someone", "enlarge")

    def leave(share: float) -> None:
        folders.forget("someone")
        check_here(folder)

    limits = Limits()
    with pytest.raises(InputError, match="page was closed"), while_here(folder):
        enlarge(str(photograph), FAST, folder, limits, progress=leave)
    with pytest.raises(InputError, match="page was closed"), while_here(folder):
        cutout.find(str(photograph), folder, limits)
    with pytest.raises(FileNotFoundError), while_here(tmp_path):
        (tmp_path / "missing").read_text()
    assert list(root.iterdir()) == []


def test_the_samples_are_small_photographs(tmp_path: Path) -> None:
    files = write_samples(tmp_path)
    assert [file.name for file in files] == ["astronaut.png", "chelsea.png", "coffee.png"]
    assert max(max(Image.open(file).size) for file in files) <= 300


# The server


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("gradio", reason="needs the extra web")
    from zoo.web.serving import serving

    with serving(port=free_port(), limits=Limits(megabytes=1)) as address:
        yield address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    import httpx

    answer = httpx.get(url, trust_env=False, timeout=60)
    return answer.status_code, answer.text


def folder_of_the_page() -> Path:
    return Path(os.environ["GRADIO_TEMP_DIR"])


def test_the_page_is_there_and_tells_nothing_about_itself_elsewhere(address: str) -> None:
    import httpx

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    status, text = get(address)
    assert status == 200
    assert TITLE in text
    config = httpx.get(f"{address}config", trust_env=False).json()
    assert config["analytics_enabled"] is False
    assert get(f"{address}monitoring")[0] in (403, 404)
    named = httpx.get(f"{address}gradio_api/info", trust_env=False).json()
    assert named["named_endpoints"] == {}


def test_only_this_computer_reaches_it(address: str) -> None:
    """A server at all addresses would answer at 127.0.0.2, too."""
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match="refused|unreachable|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=10)


def test_it_gives_out_files_of_its_folder_alone(address: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("what nobody may read")
    inside = folder_of_the_page() / "samples" / "coffee.png"
    (folder_of_the_page() / "link.txt").symlink_to(secret)
    assert get(f"{address}gradio_api/file={inside}")[0] == 200
    for path in (
        secret,
        f"{inside.parent}/../../../..{secret}",
        f"{inside.parent}/..%2f..%2f..%2f..{secret}",
        f"{folder_of_the_page()}/link.txt",
        "/etc/passwd",
        "/proc/self/environ",
        ROOT / "pyproject.toml",
        "pyproject.toml",
        "https://example.com/",
        "HTTP://127.0.0.1:1/",
    ):
        for form in ("file=", "file/"):
            status, text = get(f"{address}gradio_api/{form}{path}")
            assert status in (403, 404), path
            assert "nobody may read" not in text
    assert get(f"{address}gradio_api/proxy=https://example.com/")[0] == 403


def test_other_sites_can_not_use_it(address: str) -> None:
    """Neither by a visitor's browser, nor by a name of theirs that leads here."""
    import httpx

    files = {"files": ("b.png", b"b", "image/png")}
    upload = f"{address}gradio_api/upload"
    for site, status in (("cross-site", 403), ("same-origin", 200)):
        answer = httpx.post(
            upload, files=files, headers={"Sec-Fetch-Site": site}, trust_env=False, timeout=60
        )
        assert answer.status_code == status
    port = address.rstrip("/").rpartition(":")[2]
    for name, status in (("elsewhere.example", 400), ("localhost", 200)):
        answer = httpx.get(address, headers={"Host": f"{name}:{port}"}, trust_env=False, timeout=60)
        assert answer.status_code == status


def test_large_requests_are_refused_unread(address: str) -> None:
    import httpx

    answer = httpx.post(
        f"{address}gradio_api/upload",
        files={"files": ("a.png", b"0" * 3_000_000)},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 413
    answer = httpx.post(
        f"{address}gradio_api/upload",
        files={"files": ("a.png", b"0" * 1_500_000)},  # within what one request may have
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 413
    assert not [file for file in folder_of_the_page().rglob("*") if file.name == "a.png"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("http://127.0.0.1:1/a.png", 403),
        ("https://example.com/a.png", 403),
        (" HTTPS://example.com", 403),
        ("here.png", 200),
    ],
)
def test_files_of_other_servers_are_not_fetched(path: str, status: int, address: str) -> None:
    import httpx

    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    question = {"fn_index": 0, "data": [file], "session_hash": "a", "trigger_id": None}
    answer = httpx.post(f"{address}gradio_api/queue/join", json=question, trust_env=False)
    assert answer.status_code == status


def test_what_keeps_files_for_other_ends_is_closed(address: str) -> None:
    import httpx

    for path in ("process_recording", "vibe-edit/", "run-history/connect"):
        answer = httpx.post(f"{address}gradio_api/{path}", files={"video": b"0"}, trust_env=False)
        assert answer.status_code == 403


def test_the_folder_is_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    from zoo.web.serving import serving

    former = os.environ.get("GRADIO_TEMP_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(port=free_port()) as address:
        assert get(address)[0] == 200
        assert folder_of_the_page().parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get("GRADIO_TEMP_DIR") == former


def test_a_port_that_is_taken(address: str) -> None:
    from zoo.web.serving import serving

    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}; accepted are"), serving(port=port):
        pass


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gradio", "zoo.web.app", "zoo.web.serving"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = run("web")
    assert result.status == 1
    assert "pip install 'zoo-models[web]'" in result.stderr


def test_a_device_that_is_missing() -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    result = run("web", "--device", "cuda:99")
    assert result.status == 2
    assert "cuda:99" in result.stderr


# The program, and the Space


def start(*command: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(address: str, process: subprocess.Popen[str]) -> str:
    import httpx

    while process.poll() is None:
        try:
            return httpx.get(address, trust_env=False, timeout=60).text
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the program ended with status {process.returncode}")


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_zoo_web_ends_without_a_trace(ending: signal.Signals, status: int, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    port = free_port()
    process = start("-m", "zoo", "web", "--port", port, TMPDIR=str(tmp_path))
    try:
        assert TITLE in wait_for(f"http://127.0.0.1:{port}/", process)
        assert len(list(tmp_path.glob("zoo-web-*"))) == 1
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(ending)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert f"Open http://127.0.0.1:{port}/ in a browser" in said
    assert list(tmp_path.glob("zoo-web-*")) == []
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.slow
def test_the_space_starts(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    port = free_port()
    process = start(
        ROOT / "docs" / "space" / "app.py",
        GRADIO_SERVER_NAME="127.0.0.1",
        GRADIO_SERVER_PORT=str(port),
        SPACE_ID="me/zoo",
        TMPDIR=str(tmp_path),
    )
    try:
        assert TITLE in wait_for(f"http://127.0.0.1:{port}/", process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_space_declares_what_it_needs() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    from packaging.requirements import Requirement

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    space = ROOT / "docs" / "space"
    needed = Requirement((space / "requirements.txt").read_text().strip())
    assert needed.name == "zoo-models"
    assert {"web", "samples"} == needed.extras <= set(extras)
    _, front, _ = (space / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["sdk"] == "gradio"
    assert (space / facts["app_file"]).is_file()
    (gradio,) = map(Requirement, extras["web"])
    assert gradio.specifier.contains(facts["sdk_version"])
    assert len(facts["short_description"]) <= 60
