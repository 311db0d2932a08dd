"""The pages name folders, files and functions that exist, and draw the imports as they are."""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))]

Arrows = dict[str, set[str]]


@pytest.mark.parametrize("page", PAGES)
def test_paths_and_modules_exist(page: str) -> None:
    quoted = re.findall(r"`([^`\s]+)`", (ROOT / page).read_text())
    folders = ("zoo/", "benchmarks/", "tests/", "docs/")
    suffixes = (".py", ".md", ".toml")
    paths = [text for text in quoted if text.startswith(folders) or text.endswith(suffixes)]
    assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == []
    for name in quoted:
        if re.fullmatch(r"zoo(\.\w+)+", name):
            pkgutil.resolve_name(name)


def test_names_are_defined_in_their_files() -> None:
    places = re.findall(r"`([\w.]+)` in `([\w/]+\.py)`", ARCHITECTURE.read_text())
    assert len(places) > 30
    missing = []
    for name, file in places:
        last = name.rpartition(".")[2]
        definition = rf"^ *((def|class) {last}\b|{last}(: .*)? = )"
        if not re.search(definition, (ROOT / file).read_text(), re.MULTILINE):
            missing.append(f"{name} in {file}")
    assert missing == []


def test_every_folder_has_a_line() -> None:
    text = ARCHITECTURE.read_text()
    packages = [file.parent.relative_to(ROOT) for file in ROOT.glob("zoo/*/**/__init__.py")]
    rooms = [room for room in packages if room.as_posix() not in ("zoo/sr", "zoo/seg")]
    assert rooms
    assert [room.as_posix() for room in rooms if f"| `{room.as_posix()}/` |" not in text] == []


def test_the_arrows_are_the_imports() -> None:
    text = ARCHITECTURE.read_text()
    drawn = set(re.findall(r"^ +(\w+ --> \w+)$", text, re.MULTILINE))
    real = {
        f"{room} --> {target}" for room, targets in direct(imports()).items() for target in targets
    }
    assert sorted(drawn - real) == [], "erase these arrows from docs/architecture.md"
    assert sorted(real - drawn) == [], "draw these arrows in docs/architecture.md"


def imports() -> Arrows:
    """What each room imports at run time; `__init__` and `__main__` only pass names on."""
    arrows: Arrows = {}
    for file in ROOT.glob("zoo/**/*.py"):
        source = file.relative_to(ROOT / "zoo").parts[0].removesuffix(".py")
        if source.startswith("__"):
            continue
        for node in at_run_time(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("zoo"):
                continue
            _, _, inside = str(node.module).partition(".")
            for target in [inside.split(".")[0]] if inside else [name.name for name in node.names]:
                if target != source:
                    arrows.setdefault(source, set()).add(target)
    return arrows


def at_run_time(node: ast.AST) -> list[ast.AST]:
    """The node and all below it, without what stands under `if TYPE_CHECKING`."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return []
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in at_run_time(child))]


def direct(arrows: Arrows) -> Arrows:
    """The arrows that do not follow from others."""

    def reached(room: str) -> set[str]:
        targets = arrows.get(room, set())
        return targets.union(*(reached(target) for target in targets))

    return {
        source: {
            target
            for target in targets
            if not any(target in reached(other) for other in targets - {target})
        }
        for source, targets in arrows.items()
    }
