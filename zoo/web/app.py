"""The page: what stands where, and what happens on which click."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from zoo.errors import ImageError, InputError, MissingDependencyError
from zoo.web import cutout
from zoo.web.cutout import Found
from zoo.web.enlarge import DEFAULT, choices, enlarge
from zoo.web.folders import Folders, check_here, while_here
from zoo.web.limits import Limits
from zoo.web.memory import given_back

Updates = dict[Any, Any]  # component -> its new value

SAID = (ImageError, InputError, MissingDependencyError)  # sentences for the visitor
_NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1}  # one at a time
_HIDDEN: dict[str, Any] = {"api_visibility": "private"}
_KEPT = 600, 3600  # seconds: how often files are swept, and how old they get while a page is open

CSS = """
.gradio-container {width: 100%; max-width: 60rem !important; margin: 0 auto}
footer {display: none !important}
.said p {margin: 0; font-size: 1rem}
.wrong p {color: var(--error-text-color, #b91c1c); font-weight: 600}
#cut-view img {background: repeating-conic-gradient(#ddd 0% 25%, #fff 0% 50%) 0 0 / 20px 20px}
"""


def make_page(
    folders: Folders, samples: list[Path], limits: Limits, *, device: str = "auto"
) -> gr.Blocks:
    """Return the page; `zoo.web.serving` brings it to the browser."""
    with gr.Blocks(title="zoo", analytics_enabled=False, delete_cache=_KEPT) as page:
        gr.Markdown(
            "# zoo\nEnlarge a photograph, or cut a car out of it. Your files are deleted when you"
            " close the page."
        )
        with gr.Tab("Enlarge"):
            _enlarge_tab(folders, samples, limits, device)
        with gr.Tab("Cut out"):
            _cutout_tab(folders, limits, device)
        gr.Markdown("The weights are for research, not for commercial use.")

        def leave(request: gr.Request) -> None:
            folders.forget(_visitor(request))

        page.unload(leave)
    page.queue(max_size=20, api_open=False)
    return page


def _enlarge_tab(folders: Folders, samples: list[Path], limits: Limits, device: str) -> None:
    photograph = _photograph(folders, limits, "enlarge")
    if samples:
        taken = gr.Dataset(
            label="Or take one of these",
            components=[gr.Image(render=False)],
            samples=[[str(file)] for file in samples],
            type="index",
        )

        def take(index: int) -> str:
            return str(samples[index])

        taken.click(take, taken, photograph, queue=False, **_HIDDEN)
    model = gr.Dropdown(list(choices().items()), value=DEFAULT, label="Model", filterable=False)
    start = gr.Button("Enlarge", variant="primary", elem_id="enlarge-start")
    said = gr.HTML(elem_id="enlarge-said")
    download = gr.DownloadButton(
        "Download in full quality", visible=False, elem_id="enlarge-download"
    )
    slider = _slider("Before and after", "enlarge-slider", visible=False)
    with gr.Column(visible=False) as more:
        divider = gr.Slider(
            0, 100, value=50, step=1, label="Divider", buttons=[], elem_id="enlarge-divider"
        )
        detail = _slider("The part with the finest detail", "enlarge-detail")

    def begin() -> Updates:
        return {
            said: "",
            download: gr.update(value=None, visible=False),
            slider: gr.update(value=None, visible=True),
            more: gr.update(visible=False),
        }

    def divide(at: float) -> Updates:  # for the keyboard, which can't drag
        return {part: gr.update(slider_position=at) for part in (slider, detail)}

    def run(
        path: str | None,
        name: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - gradio looks for it there
    ) -> Updates:
        folder = folders.fresh(_visitor(request), "enlarge")

        def report(share: float) -> None:
            check_here(folder)
            progress(share, desc="Enlarging")

        try:
            with while_here(folder), given_back():
                report(0)
                result = enlarge(path, name, folder, limits, device=device, progress=report)
        except SAID as error:
            return {said: _wrong(error), slider: gr.update(visible=False)}
        return {
            said: _good(result.told),
            download: gr.update(value=str(result.file), visible=True),
            slider: gr.update(value=_texts(result.views)),
            more: gr.update(visible=True),
            detail: gr.update(value=_texts(result.details)),
        }

    results = [said, download, slider, more, detail]
    start.click(begin, None, results, queue=False, show_progress="hidden", **_HIDDEN).then(
        run, [photograph, model], results, show_progress_on=slider, **_NETWORK, **_HIDDEN
    )
    divider.input(
        divide,
        divider,
        [slider, detail],
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=4,
        **_HIDDEN,
    )


def _cutout_tab(folders: Folders, limits: Limits, device: str) -> None:
    photograph = _photograph(folders, limits, "cut")
    start = gr.Button("Cut out", variant="primary", elem_id="cut-start")
    said = gr.HTML(elem_id="cut-said")
    found = gr.State(None, time_to_live=_KEPT[1])
    with gr.Column(visible=False) as results:
        kind = gr.Radio(
            [("Cutout", "cutout"), ("Overlay", "overlay"), ("Mask", "mask")],
            value="cutout",
            label="Show",
        )
        threshold = gr.Slider(
            0.01,
            0.99,
            value=0.5,
            step=0.01,
            label="Threshold",
            info="Lower takes more into the object, higher less.",
            buttons=[],
            elem_id="cut-threshold",
        )
        view = gr.Image(
            type="filepath",
            interactive=False,
            show_label=False,
            buttons=["fullscreen"],
            elem_id="cut-view",
            alt_text="The result",
        )
        download = gr.DownloadButton("Download in full quality", elem_id="cut-download")

    def run(path: str | None, request: gr.Request) -> Updates:
        folder = folders.fresh(_visitor(request), "cutout")
        try:
            with while_here(folder), given_back():
                answer = cutout.find(path, folder, limits, device=device)
        except SAID as error:
            return {said: _wrong(error), found: None, results: gr.update(visible=False)}
        return {said: _good(answer.told), found: answer, results: gr.update(visible=True)}

    def show(answer: Found | None, wanted: str, at: float) -> Updates:
        nothing = gr.update(value=None, interactive=False)  # until its file is there
        if answer is None:
            return {view: None, download: nothing}
        try:
            with while_here(answer.folder):
                return {view: str(cutout.show(answer, wanted, at)), download: nothing}
        except SAID:
            return {view: None, download: nothing}

    def write(answer: Found | None, wanted: str, at: float) -> Updates:
        if answer is None:
            return {download: gr.update(interactive=False)}
        try:
            with while_here(answer.folder):
                file = cutout.write(answer, wanted, at, limits)
        except SAID as error:
            return {said: _wrong(error)}
        return {download: gr.update(value=str(file), interactive=True)}

    asked = [found, kind, threshold]
    ran = start.click(
        run, photograph, [said, found, results], show_progress_on=said, **_NETWORK, **_HIDDEN
    )
    last: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", **_HIDDEN}
    for trigger in (ran.then, kind.change, threshold.change):
        shown = trigger(show, asked, [view, download], concurrency_limit=4, **last)
        shown.then(write, asked, [said, download], concurrency_limit=1, **last)


def _photograph(folders: Folders, limits: Limits, name: str) -> gr.File:
    photograph = gr.File(
        label=f"Photograph, up to {limits.megabytes:g} MB",
        type="filepath",
        height=140,
        elem_id=f"{name}-photograph",
    )
    # gradio's own makes an empty file at each call, which stays
    photograph.preprocess = _path

    def note(path: str | None, request: gr.Request) -> None:
        folders.note(_visitor(request), path)

    photograph.upload(note, photograph, None, queue=False, show_progress="hidden", **_HIDDEN)
    return photograph


def _slider(label: str, name: str, *, visible: bool = True) -> gr.ImageSlider:
    return gr.ImageSlider(
        label=label,
        type="filepath",
        interactive=False,
        visible=visible,
        buttons=["fullscreen"],
        max_height=640,
        elem_id=name,
    )


def _path(photograph: Any) -> str | None:
    """The file of a visitor; gradio has checked that it was brought to this page."""
    return None if photograph is None else str(photograph.path)


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _texts(files: tuple[Path, Path]) -> tuple[str, str]:
    return str(files[0]), str(files[1])


def _good(sentence: str) -> str:
    return f'<div class="said" role="status"><p>{html.escape(sentence)}</p></div>'


def _wrong(error: Exception) -> str:
    """The sentence of an error, which may hold the name that a visitor gave a file."""
    sentence = html.escape(str(error))
    return f'<div class="said wrong" role="alert"><p>{sentence}</p></div>'
