"""What differs between the text-to-image pipelines of diffusers, as data: one row a pipeline class. No torch.

Read off diffusers 0.42's own signatures and defaults; steps, sizes and guidance are those of its documentation or of
the model cards. A class that is not here runs with its own defaults (`family_of_call`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CFG = "prompt_embeds", "negative_prompt_embeds"
_POOLED = (*_CFG, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
_MASKED = "prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask"
WANTS_MORE = (
    "Img2Img",
    "Inpaint",
    "Edit",
    "Kontext",
    "ControlNet",
    "Upscale",
    "Depth2Img",
    "ImageVariation",
    "Pix2Pix",
    "Fill",
    "Redux",
    "Video",
    "Audio",
    "Layered",
    "Prior",
    "Adapter",
)
NO_REWRITING = {"enable_prompt_rewrite": False, "use_pe": False}  # by an LLM of the model's own


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a pipeline class is called.

    encodes: names of its call's arguments that encode_prompt's answers are, in order (None: not an argument), where
    prompts can be embedded ahead of the call; None: it embeds them itself.
    """

    pipeline: str
    encodes: tuple[str | None, ...] | None = None
    together: bool = False  # prompts are padded to one length: they are embedded in one go
    lists: bool = False  # takes a list of embeddings, of unequal lengths, in place of a tensor
    guidance: str | None = "guidance_scale"  # argument of its call; None: it has none
    guidance_off: float = 1.0  # at this and below, no classifier-free guidance is computed
    guidance_scale: float = 4.5  # usual
    negative_prompt: bool = True
    negative_default: str | None = None  # needed with guidance, where none is set
    fixed: Mapping[str, Any] = field(default_factory=dict)  # arguments that are always given, where the call has them
    steps: int = 28  # usual
    native_size: int = 1024  # pixels
    size_multiple: int = 16
    dtype: str = "bfloat16"  # on a GPU
    vae_dtype: str = "bfloat16"
    safety_checker: bool = False
    one_by_one: bool = False  # seeds from the first generator only: one image a call
    known: bool = True


FAMILIES = {
    family.pipeline: family
    for family in (
        Family(
            pipeline="StableDiffusionPipeline",
            encodes=_CFG,
            together=True,
            guidance_scale=2.0,
            steps=25,
            native_size=512,
            size_multiple=8,
            dtype="float16",
            vae_dtype="float16",
            safety_checker=True,
        ),
        Family(  # its VAE overflows in float16 (diffusers#11228); bfloat16 has float32's range
            pipeline="StableDiffusionXLPipeline",
            encodes=_POOLED,
            together=True,
            guidance_scale=2.0,
            steps=25,
            size_multiple=8,
            dtype="float16",
        ),
        Family(
            pipeline="KolorsPipeline", encodes=_POOLED, guidance_scale=5.0, steps=50, size_multiple=8, dtype="float16"
        ),
        Family(pipeline="StableDiffusion3Pipeline", encodes=_POOLED, guidance_scale=4.5),
        Family(
            pipeline="LatentConsistencyModelPipeline",
            encodes=_CFG,
            negative_prompt=False,
            guidance_scale=8.5,
            guidance_off=float("inf"),
            steps=4,
            native_size=512,
            size_multiple=8,
            dtype="float16",
            vae_dtype="float16",
        ),
        Family(  # guidance_scale is an input of the distilled model
            pipeline="FluxPipeline",
            encodes=("prompt_embeds", "pooled_prompt_embeds", None),
            guidance_scale=3.5,
            guidance_off=float("inf"),
            negative_prompt=False,
        ),
        Family(
            pipeline="Flux2Pipeline",
            encodes=("prompt_embeds", None),
            guidance_off=float("inf"),
            guidance_scale=4.0,
            negative_prompt=False,
            steps=50,
        ),
        Family(
            pipeline="Flux2KleinPipeline",
            encodes=("prompt_embeds", None),
            guidance_scale=1.0,
            negative_prompt=False,
            steps=4,
        ),
        Family(
            pipeline="QwenImagePipeline",
            encodes=("prompt_embeds", "prompt_embeds_mask"),
            guidance="true_cfg_scale",
            guidance_scale=4.0,
            negative_default=" ",
            steps=50,
        ),
        Family(pipeline="ZImagePipeline", encodes=_CFG, lists=True, guidance_off=0.0, guidance_scale=5.0, steps=50),
        Family(
            pipeline="SanaPipeline",
            encodes=_MASKED,
            fixed={"use_resolution_binning": False},
            steps=20,
            size_multiple=32,
        ),
        Family(
            pipeline="SanaSprintPipeline",
            encodes=_MASKED[:2],
            fixed={"use_resolution_binning": False},
            steps=2,
            guidance_off=float("inf"),
            negative_prompt=False,
            size_multiple=32,
        ),
        *(
            Family(
                pipeline=name,
                encodes=_MASKED,
                steps=20,
                size_multiple=8,
                fixed={"use_resolution_binning": False, "clean_caption": False},
            )
            for name in ("PixArtSigmaPipeline", "PixArtAlphaPipeline")
        ),
        Family(pipeline="Lumina2Pipeline", encodes=_MASKED, guidance_scale=4.0, steps=30),
        Family(
            pipeline="AuraFlowPipeline",
            encodes=_MASKED,
            guidance_scale=3.5,
            steps=50,
            dtype="float16",
            vae_dtype="bfloat16",
        ),
        Family(
            pipeline="ChromaPipeline",
            encodes=(
                "prompt_embeds",
                None,
                "prompt_attention_mask",
                "negative_prompt_embeds",
                None,
                "negative_prompt_attention_mask",
            ),
            guidance_scale=5.0,
            steps=35,
        ),
        Family(pipeline="HiDreamImagePipeline", guidance_scale=5.0, steps=50),
        Family(pipeline="CogView4Pipeline", encodes=_CFG, guidance_scale=5.0, steps=50, size_multiple=32),
        Family(
            pipeline="HunyuanImagePipeline",
            guidance=None,
            guidance_scale=0.0,
            steps=50,
            native_size=2048,
            size_multiple=32,
            negative_prompt=True,
        ),
        Family(
            pipeline="GlmImagePipeline",
            guidance_scale=1.5,
            steps=50,
            size_multiple=32,
            negative_prompt=False,
            one_by_one=True,
        ),
    )
}


def family_of_call(pipeline: str, parameters: Mapping[str, Any]) -> Family:
    """Describe a class that is not in the table by its call's parameters, name to default."""
    guidance = next((name for name in ("true_cfg_scale", "guidance_scale") if name in parameters), None)
    own: dict[str, Any] = {}
    if isinstance(default := parameters.get("num_inference_steps"), int):
        own["steps"] = default
    if guidance and isinstance(default := parameters[guidance], int | float):
        own["guidance_scale"] = float(default)
    if isinstance(default := parameters.get("height"), int):
        own["native_size"] = default
    return Family(
        pipeline=pipeline,
        guidance=guidance,
        negative_prompt="negative_prompt" in parameters,
        fixed={"use_resolution_binning": False} | NO_REWRITING,
        known=False,
        **own,
    )


def is_image_to_image(pipeline: str) -> bool:
    """Tell by its name whether a pipeline class wants more than a prompt: an image, a mask, a video."""
    return any(word in pipeline for word in WANTS_MORE)
