"""A hook of mkdocs: pages outside of docs/ join the site, and links lead where they lead on GitHub.

Pages link to files of the repository. On the site, README.md is index.md, docs/ is the root, and
any other file that a page links to is copied to the path that it has in the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "MODEL_CARD.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"(\]\()([^):#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/, and what pages link to."""
    for name in OUTSIDE:
        files.append(File.generated(config, site_path(name), abs_src_path=str(ROOT / name)))
    for page in list(files.documentation_pages()):
        text = Path(str(page.abs_src_path)).read_text(encoding="utf-8")
        for target in linked(text, in_repository(page.src_uri)):
            if (ROOT / target).is_file() and files.get_file_from_path(site_path(target)) is None:
                file = File.generated(config, site_path(target), abs_src_path=str(ROOT / target))
                files.append(file)
    name_the_rest(files, config)
    return files


def name_the_rest(files: Files, config: MkDocsConfig) -> None:
    """Put pages that the navigation does not name at the end of the guides."""
    named = str(config.nav)
    guides = next(group["Guides"] for group in config.nav or [] if "Guides" in group)
    pages = sorted(page.src_uri for page in files.documentation_pages())
    guides.extend(uri for uri in pages if f"'{uri}'" not in named)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the files are on the site."""
    here = in_repository(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        target = site_path(resolved(match[2], here))
        link = posixpath.relpath(target, posixpath.dirname(page.file.src_uri))
        return f"{match[1]}{link}{match[3] or ''})"

    return LINK.sub(moved, markdown.replace("```python notest", "```python"))


def linked(text: str, page: str) -> Iterator[str]:
    """Yield the paths in the repository that a page of the repository links to."""
    for match in LINK.finditer(text):
        yield resolved(match[2], page)


def resolved(link: str, page: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def site_path(path: str) -> str:
    """Return the place on the site of a path in the repository."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")


def in_repository(uri: str) -> str:
    """Return the path in the repository of a page of the site."""
    if uri == "index.md":
        return "README.md"
    return uri if uri in OUTSIDE else f"docs/{uri}"
