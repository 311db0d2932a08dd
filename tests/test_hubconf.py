"""torch.hub, from another working directory and from an unpacked archive of the repository."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).parent.parent
ENTRY_POINTS = [
    "dynamic_unet",
    "edsr",
    "fpn",
    "msrresnet",
    "simple_up34",
    "srresnet_lesson_x2",
    "srresnet_lesson_x4",
    "srresnet_x1",
    "srresnet_x2",
    "srresnet_x4",
    "unet34",
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TORCH_HOME with the repository as torch.hub unpacks it: no .git, nothing installed."""
    home = tmp_path_factory.mktemp("torch")
    folder = home / "hub" / "me_zoo_main"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "hubconf.py", folder)
    shutil.copytree(ROOT / "zoo", folder / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def run(code: str, folder: Path, **environment: str) -> str:
    """Run Python code in a folder, where no copy of zoo is installed.

    Returns what it printed, or the last line of its error.
    """
    hide = "import sys; sys.path[:] = [p for p in sys.path if p != str(ROOT)]"
    result = subprocess.run(
        [sys.executable, "-c", f"ROOT = {str(ROOT)!r}; {hide}\n{code}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = result.stderr.strip().splitlines()[-1] if result.returncode else result.stdout
    return output.strip()


def test_models_load_from_another_working_directory(tmp_path):
    code = """
import torch
for scale in (2, 4):
    model = torch.hub.load(ROOT, f"srresnet_x{scale}", source="local", pretrained=False)
    print(tuple(model(torch.rand(1, 3, 37, 53)).shape), model.training)
"""
    expected = ["(1, 3, 74, 106) False", "(1, 3, 148, 212) False"]
    assert run(code, tmp_path).splitlines() == expected


def test_an_unpacked_archive_lists_helps_and_loads(archive, tmp_path):
    code = """
import torch
options = dict(skip_validation=True, trust_repo=True)
print(torch.hub.list("me/zoo:main", **options))
print("[0, 1]" in torch.hub.help("me/zoo:main", "srresnet_x4", **options))
model = torch.hub.load("me/zoo:main", "srresnet_x4", pretrained=False, **options)
print(model.config["architecture"], sys.modules["zoo"].__file__)
"""
    place = archive / "hub" / "me_zoo_main" / "zoo" / "__init__.py"
    expected = [str(ENTRY_POINTS), "True", f"srresnet_x4 {place}"]
    assert run(code, tmp_path, TORCH_HOME=str(archive)).splitlines()[-3:] == expected


# The rest calls hubconf directly, as torch.hub does, where that saves importing torch.


@pytest.fixture
def hubconf(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "hubconf", raising=False)
    return importlib.import_module("hubconf")


def test_every_entry_point_is_a_registered_model(hubconf):
    assert set(ENTRY_POINTS) <= set(zoo.list_models())
    assert all(hasattr(hubconf, name) for name in ENTRY_POINTS)


@pytest.mark.parametrize(
    "name", [name for name in ENTRY_POINTS if name in zoo.list_models(pretrained=True)]
)
def test_pretrained_is_the_default(hubconf, name):
    model = getattr(hubconf, name)()
    assert model.source == zoo.get_weights(name).name
    assert not model.training


def test_missing_weights_raise_and_name_those_that_exist(hubconf):
    with pytest.raises(zoo.ZooError, match="srresnet_lesson_x2 has no weights; those of other"):
        hubconf.srresnet_lesson_x2()


def test_options_reach_the_model_and_may_be_left_out(hubconf):
    model = hubconf.dynamic_unet(False, encoder="test_convnext", upsampler="nearest", classes=2)
    assert not model.training
    chosen = {"encoder": "test_convnext", "upsampler": "nearest", "classes": 2}
    assert model.config["options"] == {
        **dict.fromkeys(["encoder_weights", "cut", "decoder_channels"]),
        **chosen,
        "in_chans": 3,
    }


def test_contradicting_and_unknown_arguments_raise(hubconf):
    with pytest.raises(TypeError, match="pretrained=False and weights='psnr' contradict"):
        hubconf.srresnet_x2(pretrained=False, weights="psnr")
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        hubconf.srresnet_x2(width=8)


def test_the_guard_speaks_through_torch_hub(tmp_path):
    (tmp_path / "zoo.py").write_text("tigers = 3\n")
    code = "import torch, zoo; torch.hub.load(ROOT, 'srresnet_x2', source='local')"
    assert f"called 'zoo' ({tmp_path}/zoo.py) is already imported" in run(code, tmp_path)


IMPORT = "sys.path.insert(0, ROOT); import hubconf; print('fine')"


@pytest.mark.parametrize(
    "file", ["zoo.py", "zoo/__init__.py", "zoo/other.py"], ids=["module", "package", "namespace"]
)
def test_a_foreign_package_in_memory_is_named(tmp_path, file):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("tigers = 3\n")
    place = path if path.stem in ("zoo", "__init__") else path.parent
    answer = run(f"import zoo; {IMPORT}", tmp_path)
    assert f"called 'zoo' ({place}) is already imported: load the model in a Python" in answer


def test_a_foreign_package_without_a_file_is_named_as_well(tmp_path):
    answer = run(f"import types; sys.modules['zoo'] = types.ModuleType('zoo'); {IMPORT}", tmp_path)
    assert "called 'zoo' (no file) is already imported" in answer


def test_a_foreign_package_is_named_only_if_it_comes_first(tmp_path):
    (tmp_path / "zoo.py").write_text("tigers = 3\n")
    assert run(IMPORT, tmp_path) == "fine"
    first = f"sys.path.insert(0, {str(tmp_path)!r})"
    answer = run(IMPORT.replace("import hubconf", f"{first}; import hubconf"), tmp_path)
    assert f"called 'zoo' ({tmp_path}/zoo.py) comes first on sys.path" in answer


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("zoo/__init__.py", lambda text: text + "# another commit\n"),
        ("zoo/sr/networks/srresnet.py", lambda text: text.replace("0.1", "0.2")),
        ("zoo/errors.py", None),  # is missing there
        ("zoo/newer.py", lambda _: "more = 1\n"),
    ],
)
def test_our_own_copy_passes_and_a_stale_one_does_not(archive, tmp_path, file, change):
    copy = tmp_path / "site"
    shutil.copytree(archive / "hub" / "me_zoo_main" / "zoo", copy / "zoo")
    code = f"sys.path.append('site'); import zoo; {IMPORT}"
    assert run(code, tmp_path) == "fine"
    path = copy / file
    if change is None:
        path.unlink()
        code = "sys.path.insert(0, ROOT); sys.path.insert(0, 'site'); import hubconf; print('fine')"
    else:
        path.write_text(change(path.read_text() if path.exists() else ""))
    assert "another package or version called 'zoo'" in run(code, tmp_path)


def test_hints_name_what_a_hub_user_can_do(hubconf):
    with pytest.raises(zoo.ZooError, match="pretrained=False"):
        hubconf.srresnet_lesson_x2()
    for options in ({"encoder": "resnet18"}, {"classes": 3}, {"in_chans": 1}):
        with pytest.raises(TypeError, match="pretrained=False"):
            hubconf.dynamic_unet(**options)
