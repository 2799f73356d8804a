"""`images:` how the synthetic images are made, checked and stored."""

from typing import Literal

from synaug.config.settings import FrozenModel, execution, identity


class Images(FrozenModel):
    """`images:` how the synthetic images are made."""

    profile: str | None = identity(
        None,
        "Diffusion model by a short name (docs/models.md): embedded, sd15, sdxl, sdxl-turbo, sdxl-lightning, "
        "sd35-medium, flux-schnell, flux2-klein-4b, sana, pixart-sigma, z-image-turbo, qwen-image, lumina2; null: of "
        "images.model, or sd15 where that is null, too",
    )
    model: str | None = identity(
        None, "Hub name or folder of any text-to-image model of diffusers; with a profile: other weights for that one"
    )
    pipeline: str | None = identity(None, "Pipeline class of images.model; null: plan reads it from the model")
    revision: str | None = identity(None, "Branch, tag or commit on the hub; plan resolves it to a commit")
    accept_license: str | None = identity(None, "The restricted licence that you accept, by the name that plan prints")
    guidance_scale: float | None = identity(None, "Classifier-free guidance; null: the profile's (sd15: 2.0)", ge=0)
    guidance_scale_diversified: float | None = identity(
        None, "Guidance for cd and sd prompts; null: guidance_scale", ge=0
    )
    num_inference_steps: int | None = identity(None, "Denoising steps; null: the profile's", ge=1)
    negative_prompt: str | None = identity(None, "Where the profile has one; null: none")
    width: int | None = identity(None, "Generated width; null: the profile's native", unit="pixels", ge=8)
    height: int | None = identity(None, "Generated height; null: the profile's native", unit="pixels", ge=8)
    batch_size: int = identity(16, "Images generated together", unit="images", ge=1)
    part_images: int | None = identity(
        None, "Images of a part (a tar); null: about ten minutes of the configured GPU", unit="images", ge=1
    )
    shortest_edge: int = identity(384, "Stored images are shrunk to this, never enlarged", unit="pixels", ge=8)
    jpeg_quality: int = identity(92, "JPEG quality of the stored images", ge=1, le=100)
    max_attempts: int = identity(3, "Times that an image is tried before it is listed as rejected", ge=1)
    safety_checker: bool = identity(False, "Use the model's safety checker, where it has one, to flag images")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = identity(
        "auto", "auto: the profile's on a GPU; on a CPU float32, for the embedded model bfloat16"
    )
    offload: Literal["none", "model", "sequential"] = execution(
        "none", "What waits in the machine's memory until it is used: whole components (model), or layers (slow)"
    )
    compile: bool = execution(False, "Compile the denoiser: its repeated blocks, or whole where it has none")
    attention_backend: str | None = identity(
        None, "Attention kernel, by diffusers' name (native, flash, sage, ...); refused where a model takes none"
    )
    channels_last: bool = identity(False, "Memory format of a UNet")
    step_cache: Literal["first_block"] | None = identity(
        None,
        "Skip most of a step whose first block gives nearly what it gave before (transformers with a cache in "
        "diffusers, 8 steps or more); an image then depends on the others of its batch",
    )
