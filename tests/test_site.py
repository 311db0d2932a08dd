"""The documentation site builds without a warning, whole, and asks no other server for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import zoo

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "MODEL_CARD.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES += [str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md")]
PAGES += [str(page.relative_to(ROOT)) for page in ROOT.glob("docs/reference/*.md")]
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class Html(HTMLParser):
    """What a page links to and loads, its anchors, its words, and the links of its navigation."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.navigation: set[str] = set()
        self.anchors = {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attributes}
        self.anchors |= {given.get("id", "")}
        if tag in LOADED and LOADED[tag] in given:
            self.loaded.append(given[LOADED[tag]])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if "md-nav__link" in given.get("class", ""):
                self.navigation.add(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    return {file: Html(file) for file in site.rglob("*.html") if file.name != "404.html"}


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    named = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    wanted = {f"zoo.{name}" for name in zoo.__all__ if name != "ZooError"} | {"zoo.errors"}
    assert wanted - named == set()


@pytest.mark.slow
def test_every_page_is_in_the_navigation(site: Path, pages: dict[Path, Html]) -> None:
    first = pages[site / "index.html"]
    for page in PAGES:
        path = Path(page.removeprefix("docs/")).with_suffix(".html")
        name = "index.html" if page == "README.md" else str(path)
        assert (site / name).is_file()
        assert name in first.navigation or page == "README.md"
    assert not (site / "space").exists()


@pytest.mark.slow
def test_links_and_pictures_of_the_site_lead_somewhere(pages: dict[Path, Html]) -> None:
    broken = []
    for file, html in pages.items():
        for link in (*html.links, *html.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            known = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.exists() or unquote(parts.fragment) not in known:
                broken.append(f"{file.name}: {link}")
    assert broken == []
    assert sum(len(html.loaded) for html in pages.values()) > 100


@pytest.mark.slow
def test_a_reader_asks_no_other_server(site: Path, pages: dict[Path, Html]) -> None:
    loaded = {link for html in pages.values() for link in html.loaded}
    assert [link for link in loaded if urlsplit(link).netloc] == []
    styles = "".join(style.read_text() for style in site.glob("assets/stylesheets/*.css"))
    assert not re.search(r"url\(['\"]?(https?:)?//", styles)


@pytest.mark.slow
def test_the_reference_says_what_the_docstrings_say(site: Path) -> None:
    page = (site / "reference" / "photographs.html").read_text(encoding="utf-8")
    assert 'id="zoo.upscale"' in page
    assert "<li><code>progress</code>: called with the fraction that is done" in page
