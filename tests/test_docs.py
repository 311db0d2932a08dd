"""The Python in the pages runs as printed, in an empty folder with a few photographs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/training.md"]


@pytest.mark.parametrize("page", PAGES)
def test_python_on_the_pages(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_registry: None
) -> None:
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    astronaut = skimage.data.astronaut()
    for i in range(26):
        Image.fromarray(astronaut[i * 8 : i * 8 + 56, :64]).save(f"photos/{i:02}.png")
    Image.fromarray(astronaut[:40, :48]).save("photo.jpg")
    code = "\n".join(blocks).replace('"steps": 2000', '"steps": 2').replace("100}", "1}")
    scope: dict[str, object] = {"__name__": "page"}
    exec(compile(code, page, "exec"), scope)
    if page == "README.md":
        assert scope["large"].size == (192, 160)
        assert scope["result"].shape == (1, 3, 148, 212)
    else:
        for job in ("denoiser", "colouring"):
            assert Path("runs", job, "best", "model.safetensors").is_file()


@pytest.mark.parametrize(
    "file", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda file: file.name
)
def test_links_lead_to_files(file: Path) -> None:
    links = re.findall(r"\]\(([^):]+)\)", file.read_text())
    assert [link for link in links if not leads_somewhere(file, link)] == []


def leads_somewhere(file: Path, link: str) -> bool:
    """Whether the file of a link exists, and on it the heading behind the #."""
    path, _, heading = link.partition("#")
    target = file.parent / path if path else file
    if not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
