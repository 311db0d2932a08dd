"""Metadata shared by all weights for Kaggle's Carvana cars: training data and licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.registry import WeightsMeta

# Of Kaggle's 318 cars, see zoo.seg.data.splits.SplitRule.
LESSON_SPLIT = {"validation": 63, "held_out": 20, "groups": "f54db891cd6f6886"}


def carvana_meta(
    *, recipe: str, start: str, options: Mapping[str, Any], version: int = 1
) -> WeightsMeta:
    """Returns the metadata of weights trained on the lesson's split (`publish.py` prints a run's).

    start: initial weights of the encoder. options: builder arguments that the weights require.
    """
    return WeightsMeta(
        version=version,
        use="separating a car from its background.",
        limits=(
            "It knows studio photographs of one whole car alone. It knows no other object, and "
            "marks something in photographs without a car, too."
        ),
        license="for research only: it follows the rules of Kaggle's Carvana competition.",
        license_id="kaggle-carvana-rules",
        license_link="https://www.kaggle.com/c/carvana-image-masking-challenge/rules",
        datasets=("carvana-image-masking-challenge",),
        training_data=(
            "Carvana Image Masking Challenge, training set at 512×512 pixels: 235 of 318 cars, 16 "
            "photographs each; 20 others chose the weights, 63 validate (the lesson's split). "
            f"The encoder began with {start}."
        ),
        training_data_terms="Kaggle competition rules: research and education, no redistribution.",
        recipe=recipe,
        options={"classes": 1, "in_chans": 3, **options},
        image_size=512,
        split=LESSON_SPLIT,
    )
