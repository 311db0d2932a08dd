"""The speed benchmark: what its ratios mean, and the page made of them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from speed import page, processes, runtimes, tiles, training
from speed.summary import summary
from speed.timing import beside, in_turns, matmul_peak

from zoo.create import create_model

ENVIRONMENT = {"threads": 2, "cpu": "a processor", "libraries": {"torch": "2.8"}}


def row(**changes: object) -> dict[str, object]:
    (made,) = beside("a job", ["zoo.upscale"], {"zoo.upscale": [1, 2], "other": [3, 3]})
    return {**made, **changes}


def test_a_ratio_is_the_others_time_by_ours() -> None:
    made = row()
    assert (made["lowest"], made["ratio"], made["highest"]) == (1.5, 2.25, 3)
    assert (made["seconds_ours"], made["seconds_other"]) == (1.5, 3)
    (shared,) = beside("a", ["b"], {"b": [2.0], "c": [2.0]}, multiply_adds=100, peak=200)
    assert shared["peak_share"] == 0.5


def test_turns_alternate_and_the_first_is_left_out() -> None:
    order: list[str] = []
    works = {name: partial(order.append, name) for name in "ab"}
    seconds = in_turns(works, repeats=2)
    assert order == list("ababab")
    assert [len(each) for each in seconds.values()] == [2, 2]
    assert matmul_peak(torch.float32, side=64, repeats=1) > 0


def test_pixels_of_tiles_are_counted() -> None:
    """Four tiles of 5 × 5 pixels with the 2 around them; one tile, enlarged in four pieces."""
    assert tiles.counted(10, 10, tile=5, piece=5, halo=2, enlarge_halo=0) == (4 * 49, 100)
    assert tiles.counted(10, 10, tile=10, piece=5, halo=2, enlarge_halo=1) == (100, 4 * 36)
    for row in tiles.measure((300, 400)):
        assert row["pixels_through_the_blocks"] == 1 <= row["pixels_through_the_upsampler"] < 1.1


def test_steps_of_training_are_timed() -> None:
    net = create_model("srresnet_x2", depth=1, width=8)
    job = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16), F.l1_loss
    for steps in (training.zoo_steps, training.plain_steps):
        assert len(steps(net, *job)) == training.STEPS - training.LEFT_OUT - 1


def test_the_page_follows_the_results(tmp_path: Path) -> None:
    assert page.results(tmp_path) == {}
    start = {"case": "zoo --help", "seconds": 0.345}
    memory = [
        {
            "case": f"{size} megapixels",
            "way": "bound",
            "megapixels": size,
            "peak_bytes": 3_000_000,
            "seconds": 2 * size**1.5,
        }
        for size in (1, 25, 400)
    ]
    for part, rows in (
        ("super-resolution", [row(ratio=4.25, highest=5)]),
        ("start", [row(ours="import zoo"), start]),
        ("memory", memory),
    ):
        result = {"rows": rows, "date": "2026-01-02", "environment": ENVIRONMENT, "peers": {"a": 1}}
        if part == "memory":
            result["exponents"] = processes.exponents(memory)
        (tmp_path / f"speed_{part}.json").write_text(json.dumps(result))
    text = page.page(tmp_path)
    assert "| a job | zoo.upscale | other | **4.25** | 1.50–5.00 |" in text
    assert "2026-01-02, 2 threads of a processor, torch 2.8. Beside a 1." in text
    assert "| zoo --help | 0.345 |" in text
    assert "| 25 megapixels | 3 MB | 250 |" in text
    assert "to the power of 1.50 (bound)." in text
    page.draw([row()], tmp_path / "speed.svg")
    assert "zoo.upscale beside other" in (tmp_path / "speed.svg").read_text()
    page.draw_memory(tmp_path, tmp_path / "memory.svg")
    assert "megapixels of the result" in (tmp_path / "memory.svg").read_text()


def test_the_first_page_names_the_closest_other(tmp_path: Path) -> None:
    """Of those of equal shape, for each way to run them; our own runtimes are on another page."""
    slow, fast = row(ratio=4, other="a, defaults"), row(ratio=3, other="b, defaults")
    runtime = row(case="another", ours="--runtime openvino")
    tuned, inner = row(ratio=1.5, other="a, tuned by hand"), row(ours="model(x)", ratio=1)
    for part, rows in (
        (
            "segmentation",
            [slow, fast, tuned, inner, row(ratio=1, other="spandrel Compact, defaults")],
        ),
        (
            "runtimes",
            [
                runtime | {"other": other, "ratio": ratio}
                for other, ratio in (("torch.compile", 1), ("PyTorch, as it comes", 2))
            ],
        ),
    ):
        result = {"rows": rows, "date": "2026-01-02", "environment": ENVIRONMENT}
        (tmp_path / f"speed_{part}.json").write_text(json.dumps(result))
    text = summary(tmp_path).splitlines()
    assert text[2] == "| a job | zoo.upscale | **3.00** b | **1.50** a |"
    assert text[3:] == ["", "2026-01-02, 2 threads of a processor, torch 2.8."]


@pytest.mark.slow
def test_whole_processes_are_measured(tiny_upscaler: Path) -> None:
    for memory in processes.memory(megapixels=(1,), model=str(tiny_upscaler)):
        assert 5e7 < memory["peak_bytes"] < 2e9
    (folder,) = processes.folder(photographs=2, model=str(tiny_upscaler))
    assert folder["photographs_a_minute"] == pytest.approx(120 / folder["seconds"])
    assert folder["network_waits"] == pytest.approx(1 - 1 / folder["whole_by_network_alone"])
    imports = [made for made in processes.start(repeats=1) if made["case"] == "import"]
    assert [made["ours"] for made in imports] == ["import zoo", "zoo.load_model"]


@pytest.mark.slow
def test_runtimes_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(runtimes.WAYS, "torch.compile")  # which takes its time
    rows = runtimes.measure({"srresnet_x2.fast": ((24, 32),)})
    ratios, firsts = rows[:2], rows[2:]
    assert [made["other"] for made in ratios] == ["PyTorch, as it comes", "ONNX Runtime"]
    differences = [made["mean_difference_from_fp32_in_levels"] for made in firsts]
    assert max(differences) < 0.5
    assert differences[-1] < 0.01  # in fp32, too
