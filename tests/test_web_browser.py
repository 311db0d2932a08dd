"""The web page in a real browser: Chromium without a window, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image
from test_web import Forwards, free_port

import zoo
from zoo.pictures.files import read_image
from zoo.web.enlarge import choices
from zoo.web.limits import Limits

pytestmark = pytest.mark.slow

MODEL = "2 times, in a hurry (srresnet_x2.fast)"
WAIT = 120_000  # milliseconds; two networks may have to load
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        pytest.skip(f"needs a browser: one of {', '.join(names)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("gradio", reason="needs the extra web")
    from zoo.web.serving import serving

    with serving(port=free_port(), limits=Limits(megabytes=2)) as address:
        yield address


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page as a new visitor; whatever it asks for must come from this computer."""
    contexts, foreign = [], []

    def note(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            foreign.append(request.url)

    def visit(**options: Any) -> Any:
        context = browser.new_context(**options)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("request", note)
        page.goto(address)
        page.locator("#enlarge-start").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert foreign == []


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photographs") / "my cat.jpg"
    Image.fromarray(skimage.data.chelsea()[60:156, 60:180]).save(file, quality=90)
    return file


def bring(page: Any, file: Path, tab: str = "enlarge") -> None:
    page.locator(f"#{tab}-photograph input[type=file]").set_input_files(file)
    page.locator(f"#{tab}-photograph .file-preview").wait_for()


def choose(page: Any, model: str) -> None:
    page.get_by_label("Model").click()
    page.get_by_role("option", name=model).click()


def shown(page: Any, name: str) -> list[int]:
    """The widths of the pictures in a part of the page, once all of them are loaded."""
    page.wait_for_function(
        "name => { const all = [...document.querySelectorAll(`#${name} img`)];"
        " return all.length > 0 && all.every(one => one.complete && one.naturalWidth) }",
        arg=name,
    )
    return page.eval_on_selector_all(f"#{name} img", "all => all.map(one => one.naturalWidth)")


def said(page: Any, tab: str = "enlarge") -> str:
    page.locator(f"#{tab}-said .said").wait_for()
    return page.inner_text(f"#{tab}-said").strip()


def download(page: Any, tab: str, folder: Path, *, keys: bool = False) -> Path:
    button = page.locator(f"#{tab}-download")
    with page.expect_download() as coming:
        if keys:
            page.keyboard.press("Enter")
        else:
            button.click()
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    return file


def test_enlarge(visit: Open, photograph: Path, tmp_path: Path) -> None:
    page = visit()
    bring(page, photograph)
    choose(page, MODEL)
    page.locator("#enlarge-start").click()
    assert "120 × 96 became 240 × 192" in said(page)
    assert shown(page, "enlarge-slider") == [240, 240]
    assert len(shown(page, "enlarge-detail")) == 2
    file = download(page, "enlarge", tmp_path)
    assert file.name == "my cat_x2.png"
    expected = np.asarray(zoo.upscale(photograph, "srresnet_x2.fast"))
    np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
    assert page.title() == "zoo"


def test_a_sample(visit: Open) -> None:
    page = visit()
    page.locator(".gallery-item").nth(1).click()
    page.locator("#enlarge-photograph .file-preview").wait_for()
    choose(page, MODEL)
    page.locator("#enlarge-start").click()
    assert "became" in said(page)


def test_wrong_input_gets_a_sentence_and_the_next_photograph_works(
    visit: Open, photograph: Path, tmp_path: Path
) -> None:
    page = visit()
    page.locator("#enlarge-start").click()
    assert said(page) == "Choose a photograph first."
    bad = tmp_path / "<b>diary<b>.jpg"
    bad.write_text("Dear diary")
    bring(page, bad)
    page.locator("#enlarge-start").click()
    page.get_by_role("alert").filter(has_text="no picture that zoo reads").wait_for()
    assert "/tmp" not in page.inner_text("body")
    assert page.locator("#enlarge-said b").count() == 0  # the file's name is text
    assert not page.locator("#enlarge-slider").is_visible()
    page.locator("#enlarge-photograph button[aria-label=Clear]").click()
    bring(page, photograph)
    choose(page, MODEL)
    page.locator("#enlarge-start").click()
    page.get_by_role("status").filter(has_text="became").wait_for()
    assert shown(page, "enlarge-slider") == [240, 240]


def test_a_file_that_is_too_large_is_not_sent(visit: Open, tmp_path: Path) -> None:
    page = visit()
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 3_000_000)
    page.locator("#enlarge-photograph input[type=file]").set_input_files(large)
    page.get_by_text("exceed the maximum allowed size").first.wait_for()


def test_the_threshold_is_answered_without_the_network(
    visit: Open, photograph: Path, tmp_path: Path
) -> None:
    page = visit()
    page.get_by_role("tab", name="Cut out").click()
    bring(page, photograph, "cut")
    forwards = Forwards()
    try:
        page.locator("#cut-start").click()
        assert "Done in" in said(page, "cut")
        shown(page, "cut-view")
        ran = forwards.count
        assert ran > 0
        page.get_by_label("Mask").check()
        picture = page.locator("#cut-view img[src*=mask_]")
        picture.wait_for()
        before = picture.get_attribute("src")
        handle = page.locator("#cut-threshold input[type=range]")
        handle.focus()
        page.keyboard.press("Home")  # to the left end
        page.locator("#cut-view img[src*=mask_010]").wait_for()
        assert page.locator("#cut-view img").get_attribute("src") != before
        page.locator("#cut-download:not([disabled])").wait_for()
        file = download(page, "cut", tmp_path)
        assert forwards.count == ran
    finally:
        forwards.handle.remove()
    expected = zoo.Segmenter(threshold=0.01).picture(read_image(photograph))
    np.testing.assert_array_equal(read_image(file).pixels, expected.pixels)


def test_on_a_phone_nothing_is_wider_than_the_window(visit: Open, photograph: Path) -> None:
    page = visit(**PHONE)
    assert not is_too_wide(page)
    bring(page, photograph)
    choose(page, MODEL)
    page.locator("#enlarge-start").tap()
    said(page)
    shown(page, "enlarge-slider")
    assert not is_too_wide(page)
    page.get_by_role("tab", name="Cut out").tap()
    bring(page, photograph, "cut")
    page.locator("#cut-start").tap()
    said(page, "cut")
    shown(page, "cut-view")
    assert not is_too_wide(page)


def is_too_wide(page: Any) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def test_by_keyboard_alone(visit: Open, photograph: Path, tmp_path: Path) -> None:
    page = visit()
    choose_file_by_keyboard(page, photograph)
    page.locator("#enlarge-photograph .file-preview").wait_for()
    tab_to(page, "[role=combobox]")
    page.get_by_role("option").first.wait_for()  # the list opens
    for _ in range(list(choices()).index(MODEL)):
        page.keyboard.press("ArrowDown")
    page.locator(f"[role=option].active[aria-label='{MODEL}']").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "model => document.querySelector('[role=combobox]').value === model", arg=MODEL
    )
    tab_to(page, "#enlarge-start")
    page.keyboard.press("Enter")
    assert "became 240 × 192" in said(page)
    shown(page, "enlarge-slider")
    tab_to(page, "#enlarge-download")
    file = download(page, "enlarge", tmp_path, keys=True)
    assert Image.open(file).size == (240, 192)
    tab_to(page, "#enlarge-divider input[type=range]")
    place = page.locator("#enlarge-slider [data-testid=slider]")
    before = place.bounding_box()["x"]
    page.keyboard.press("Home")
    page.wait_for_function(
        "before => document.querySelector('#enlarge-slider [data-testid=slider]')"
        ".getBoundingClientRect().x < before - 50",
        arg=before,
    )


def choose_file_by_keyboard(page: Any, file: Path) -> None:
    """Open the list of files; the first key may come before the page is ready for keys."""
    from playwright.sync_api import TimeoutError

    for _ in range(5):
        tab_to(page, "#enlarge-photograph button")
        try:
            with page.expect_file_chooser(timeout=10_000) as chooser:
                page.keyboard.press("Enter")
        except TimeoutError:
            continue
        chooser.value.set_files(file)
        return
    pytest.fail("the enter key opens no list of files")


def tab_to(page: Any, selector: str) -> None:
    """Press the tab key until an element has the focus; fail if it never gets it."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no tab key leads to {selector}")


def test_a_second_visitor_waits_and_is_served(visit: Open, photograph: Path) -> None:
    pages = [visit(), visit()]
    for page in pages:
        bring(page, photograph)
        choose(page, MODEL)
    for page in pages:
        page.locator("#enlarge-start").click()
    for page in pages:
        assert "became 240 × 192" in said(page)
        assert shown(page, "enlarge-slider") == [240, 240]


def test_closing_the_page_deletes_the_files(visit: Open, photograph: Path) -> None:
    root = Path(os.environ["GRADIO_TEMP_DIR"])
    page = visit()
    own = photograph.with_name("gone.jpg")
    shutil.copy(photograph, own)
    before = set(root.glob("visitor-*"))
    bring(page, own)
    choose(page, MODEL)
    page.locator("#enlarge-start").click()
    said(page)
    (home,) = set(root.glob("visitor-*")) - before
    assert list(root.rglob("gone.jpg"))
    page.close()
    end = time.monotonic() + 60
    while home.exists() or list(root.rglob("gone*")):
        assert time.monotonic() < end, "the files are still there"
        time.sleep(0.2)
