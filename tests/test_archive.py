"""The archive that torch.hub fetches from GitHub is small, and does what a clone does."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from test_hubconf import run

ROOT = Path(__file__).parents[1]
LIMIT = 40_000_000  # bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / ".git").exists() or not shutil.which("git"), reason="needs a clone, and git"
    ),
]


@pytest.fixture(scope="module")
def archive() -> bytes:
    """What GitHub makes of the last commit: `git archive` and GitHub heed .gitattributes."""
    command = ["git", "archive", "--format=zip", "--prefix=zoo-main/", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def home(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TORCH_HOME after torch.hub has unpacked the archive of me/zoo."""
    home = tmp_path_factory.mktemp("torch")
    zipfile.ZipFile(io.BytesIO(archive)).extractall(home / "hub")
    (home / "hub" / "zoo-main").rename(home / "hub" / "me_zoo_main")
    return home


def test_it_is_small_and_holds_the_code(archive: bytes) -> None:
    assert len(archive) < LIMIT
    names = {
        name.removeprefix("zoo-main/") for name in zipfile.ZipFile(io.BytesIO(archive)).namelist()
    }
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD"]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left_out = set(tracked.splitlines()) - names
    assert {Path(name).suffix for name in left_out} == {".png", ".safetensors"}
    assert not any("srresnet" in name for name in left_out)


LOAD = """
from importlib import metadata

def distribution(name, found=metadata.distribution):
    if name == "zoo-models":  # is not installed
        raise metadata.PackageNotFoundError(name)
    return found(name)

metadata.distribution = distribution
import torch
options = dict(skip_validation=True, trust_repo=True)
model = torch.hub.load("me/zoo:main", "srresnet_x4", **options)
print(model.source, tuple(model(torch.rand(1, 3, 8, 9)).shape))
sys.modules["zoo.store.elsewhere"].GITHUB = {url!r}
model = torch.hub.load("me/zoo:main", "unet34", **options)
print(model.source, tuple(model(torch.rand(1, 3, 64, 64)).shape))
"""


def test_small_weights_load_offline_and_large_ones_come_from_the_repository(
    home: Path, server, tmp_path: Path
) -> None:
    served = server.folder / "me" / "zoo" / "main" / "zoo"
    served.mkdir(parents=True)
    (served / "pretrained").symlink_to(ROOT / "zoo" / "pretrained")
    code, place = LOAD.format(url=server.url), str(tmp_path / "cache")
    offline = {"TORCH_HOME": str(home), "ZOO_CACHE": place, "HF_HUB_OFFLINE": "1"}
    said = run(code, tmp_path, **offline)
    assert "unet34.carvana could not be downloaded (HF_HUB_OFFLINE is set); fetch http" in said
    assert (
        f"/me/zoo/main/zoo/pretrained/unet34.carvana.safetensors by hand and put it at {place}"
        in said
    )
    for _ in range(2):
        said = run(code, tmp_path, **{**offline, "HF_HUB_OFFLINE": ""})
        assert said.splitlines()[-2:] == [
            "srresnet_x4.psnr (1, 3, 32, 36)",
            "unet34.carvana (1, 1, 64, 64)",
        ]
    assert server.requests == ["/me/zoo/main/zoo/pretrained/unet34.carvana.safetensors"]
