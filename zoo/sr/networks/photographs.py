"""Metadata shared by all super-resolution weights: training data and licences."""

from __future__ import annotations

from zoo.registry import WeightsMeta

VGG_LOSS = " The feature loss looked through Oxford's VGG19, trained on ImageNet."


def photograph_meta(*, recipe: str, version: int = 1, loss: str = "") -> WeightsMeta:
    """Returns the metadata of weights trained on the photographs in the model card.

    loss: a sentence about the loss's network, appended to the training data.
    """
    return WeightsMeta(
        version=version,
        use="enlarging clean photographs.",
        limits=(
            "It knows photographs shrunk by bicubic interpolation alone: JPEG artefacts, noise and "
            "blur are enlarged, not removed."
            + (" The fine detail that it adds is likely, not true: no evidence." if loss else "")
        ),
        license="CC BY-NC-SA 4.0, for research: it follows BSDS500 and CID22.",
        training_data=(
            "644 of 668 photographs, the other 24 set aside: BSDS500 train and test (399), CID22 "
            "(212), gb82 (16), CLIC 2025 (14), wallpapers of Budgie, deepin and Pop!_OS (27)."
            + loss
        ),
        training_data_terms=(
            "BSDS500: non-commercial research and education; CID22: CC BY-SA 4.0; gb82 and Budgie: "
            "CC0; CLIC, deepin and Pop!_OS: Unsplash licence or public domain."
        ),
        recipe=recipe,
        options={"res_scale": 1.0, "negative_slope": 0.1},
    )
