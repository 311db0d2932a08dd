"""The weights of `SRResNet`, and what they share: training data and licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.registry import Weights, WeightsMeta, register_weights

SHAPE = {"res_scale": 1.0, "negative_slope": 0.1}  # options that all of these fix

FAST_SHAPE = {**SHAPE, "width": 32, "depth": 5}

CLEAN_USE = "enlarging clean photographs."
CLEAN_LIMITS = (
    "It knows photographs shrunk by bicubic interpolation alone: JPEG artefacts, noise and blur are"
    " enlarged, not removed."
)
LIKELY_LIMITS = CLEAN_LIMITS + " The fine detail that it adds is likely, not true: no evidence."
FAST_USE = "enlarging clean photographs in a hurry."
TREATED_USE = "enlarging photographs as people have them: JPEGs, noisy ones, slightly soft ones."
CLEANED_USE = "cleaning photographs in their own size: JPEGs, noisy ones, slightly soft ones."
TREATED_LIMITS = (
    "It removes noise up to a standard deviation of about 25 levels, traces of JPEG from quality 30"
    " on and a little blur. Fine texture that looks like noise goes with them: hair can look"
    " painted, and faint thin lines in the dark vanish. It keeps a little less of a clean"
    " photograph than the weights for those."
)
TAUGHT = " Half of the target were the results of the weights psnr."
VGG_LOSS = " The feature loss looked through Oxford's VGG19, trained on ImageNet."


def photograph_meta(
    *,
    recipe: str,
    version: int = 1,
    use: str = CLEAN_USE,
    limits: str = CLEAN_LIMITS,
    loss: str = "",
    options: Mapping[str, Any] = SHAPE,
) -> WeightsMeta:
    """Returns the metadata of weights trained on the photographs in the model card.

    loss: a sentence about the loss's network, appended to the training data.
    """
    return WeightsMeta(
        version=version,
        use=use,
        limits=limits,
        license="CC BY-NC-SA 4.0, for research: it follows BSDS500 and CID22.",
        license_id="cc-by-nc-sa-4.0",
        datasets=("BSDS500", "CID22", "gb82", "CLIC2025"),
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
        options=options,
    )


SRRESNET_X1_PHOTO = register_weights(
    Weights(
        name="srresnet_x1.photo",
        file="srresnet_x1.photo.safetensors",
        sha256="57d1a77dc7b8e673e65b15d150ea09dfc8127da3aeed2c3b5bd4216ea62e4476",
        size=2_450_510,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x1_photo.yaml",
            use=CLEANED_USE,
            limits=TREATED_LIMITS,
        ),
    ),
    default=True,
)
SRRESNET_X2_PSNR = register_weights(
    Weights(
        name="srresnet_x2.psnr",
        file="srresnet_x2.psnr.safetensors",
        sha256="ec664599cf16d3296ee985fba999a569fa365a695c107fd1c4c94b853c13bc62",
        size=2_746_110,
        meta=photograph_meta(recipe="benchmarks/recipes/srresnet_x2_wide.yaml", version=9),
    ),
    default=True,
)
SRRESNET_X2_FAST = register_weights(
    Weights(
        name="srresnet_x2.fast",
        file="srresnet_x2.fast.safetensors",
        sha256="bd7e6794aeadbb1d6de8ce0af561800fbcfbd89c8a8411d10ef294097baa3e5b",
        size=283_510,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x2_fast.yaml",
            use=FAST_USE,
            loss=TAUGHT,
            options=FAST_SHAPE,
        ),
    )
)
SRRESNET_X2_PERCEPTUAL = register_weights(
    Weights(
        name="srresnet_x2.perceptual",
        file="srresnet_x2.perceptual.safetensors",
        sha256="c45202f96b67623b528b85beef1035e293fad8a7eb19842f9ce206806f6308e2",
        size=2_746_110,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x2_perceptual.yaml",
            limits=LIKELY_LIMITS,
            loss=VGG_LOSS,
        ),
    )
)
SRRESNET_X2_PHOTO = register_weights(
    Weights(
        name="srresnet_x2.photo",
        file="srresnet_x2.photo.safetensors",
        sha256="820acc37836ef978005d7ad89c28daafbd1004c865818186fa0cbe74e5466365",
        size=2_746_110,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x2_photo.yaml",
            use=TREATED_USE,
            limits=TREATED_LIMITS,
        ),
    )
)
SRRESNET_X4_PSNR = register_weights(
    Weights(
        name="srresnet_x4.psnr",
        file="srresnet_x4.psnr.safetensors",
        sha256="961001f2b22fa1f84a647098ce21fbf2cd6ba2073809898080190dba02ef3d2f",
        size=3_041_718,
        meta=photograph_meta(recipe="benchmarks/recipes/srresnet_x4_wide.yaml", version=4),
    ),
    default=True,
)
SRRESNET_X4_FAST = register_weights(
    Weights(
        name="srresnet_x4.fast",
        file="srresnet_x4.fast.safetensors",
        sha256="52370eab5d4e1aae1eea3012ab18cac2e95fc6b1305034d0a3c4c46a6d4a64cc",
        size=357_670,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x4_fast.yaml",
            use=FAST_USE,
            loss=TAUGHT,
            options=FAST_SHAPE,
        ),
    )
)
SRRESNET_X4_PERCEPTUAL = register_weights(
    Weights(
        name="srresnet_x4.perceptual",
        file="srresnet_x4.perceptual.safetensors",
        sha256="c0ef84995138cf14576c15d32b659134144c82684e15e544e1ad83b24401195c",
        size=3_041_718,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x4_perceptual.yaml",
            version=2,
            limits=LIKELY_LIMITS,
            loss=VGG_LOSS,
        ),
    )
)
SRRESNET_X4_PHOTO = register_weights(
    Weights(
        name="srresnet_x4.photo",
        file="srresnet_x4.photo.safetensors",
        sha256="f12b9dd6ce287945382c8fd3e3e17e65254c3e777d67d09136c554a40fe7ec76",
        size=3_041_718,
        meta=photograph_meta(
            recipe="benchmarks/recipes/srresnet_x4_photo.yaml",
            use=TREATED_USE,
            limits=TREATED_LIMITS,
        ),
    )
)
