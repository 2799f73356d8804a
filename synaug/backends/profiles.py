"""Diffusion models as profiles: what each wants, and which settings it would ignore. No weights, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synaug.backends.families import FAMILIES, Family
from synaug.config.images import Images
from synaug.embedded import DATA
from synaug.errors import UsageError

EMBEDDED = Family(  # its own pipeline class; on a CPU in bfloat16, too
    pipeline="EmbeddedPipeline",
    encodes=("prompt_embeds", "negative_prompt_embeds"),
    together=True,
    guidance_scale=1.0,
    negative_prompt=False,
    steps=12,
    native_size=32,
    size_multiple=1,
    vae_dtype="float32",
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A model under a short name, and how it is sampled; None: as its family is."""

    name: str
    family: Family
    hub_name: str | None = None
    folder: Path | None = None  # of weights that ship with synaug, in place of hub_name
    revision: str | None = None  # pinned commit of hub_name; None: plan resolves and freezes it
    license: str = "see the model's card"
    restricted: bool = False  # asks for images.accept_license
    steps: int
    guidance_scale: float
    takes_guidance: bool = True
    negative_prompt: bool = True
    scheduler: str | None = None  # of diffusers; None: the model's own
    scheduler_kwargs: Mapping[str, Any] = field(default_factory=dict)
    native_size: int  # pixels
    fixed_size: bool = False
    cpu_dtype: str = "float32"

    @property
    def size_multiple(self) -> int:
        """Width and height are multiples of this."""
        return self.family.size_multiple


def _profile(name: str, pipeline: str, **own: Any) -> Profile:
    """A profile with its family's usual values where it has none of its own."""
    family = FAMILIES[pipeline]
    return Profile(name=name, family=family, **_usual(family) | own)


def _usual(family: Family) -> dict[str, Any]:
    return {
        "steps": family.steps,
        "guidance_scale": family.guidance_scale,
        "takes_guidance": family.guidance is not None,
        "negative_prompt": family.negative_prompt,
        "native_size": family.native_size,
    }


# Pins seen in public use on 2026-11; timestep spacing and solver as each model card or diffusers' documentation says.
# Where no commit was seen in public code there is no pin: plan resolves the newest and freezes it.
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b"
_TURBO = "stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304"
_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
_DPM = {"scheduler": "DPMSolverMultistepScheduler", "scheduler_kwargs": {"use_karras_sigmas": True}}

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="embedded",
            family=EMBEDDED,
            folder=DATA / "generator",
            license="Apache-2.0",
            fixed_size=True,
            cpu_dtype="bfloat16",
            scheduler="DPMSolverMultistepScheduler",
            **_usual(EMBEDDED),
        ),
        _profile(
            "sd15",
            "StableDiffusionPipeline",
            hub_name=_SD15[0],
            revision=_SD15[1],
            license="creativeml-openrail-m",
            **_DPM,
        ),
        _profile(
            "sdxl", "StableDiffusionXLPipeline", hub_name=_SDXL[0], revision=_SDXL[1], license="openrail++", **_DPM
        ),
        _profile(
            "sdxl-turbo",
            "StableDiffusionXLPipeline",
            hub_name=_TURBO[0],
            revision=_TURBO[1],
            license="sai-nc-community",
            restricted=True,
            steps=2,
            guidance_scale=0.0,
            takes_guidance=False,
            negative_prompt=False,
            scheduler="EulerAncestralDiscreteScheduler",
            scheduler_kwargs={"timestep_spacing": "trailing"},
            native_size=512,
        ),
        _profile(  # ByteDance's own has no pipeline folder; this few-step kin of SDXL has one
            "sdxl-lightning",
            "StableDiffusionXLPipeline",
            hub_name="SG161222/RealVisXL_V5.0_Lightning",
            license="openrail++",
            steps=5,
            guidance_scale=1.0,
            scheduler="EulerDiscreteScheduler",
            scheduler_kwargs={"timestep_spacing": "trailing"},
        ),
        _profile(
            "sd35-medium",
            "StableDiffusion3Pipeline",
            hub_name="stabilityai/stable-diffusion-3.5-medium",
            license="stabilityai-ai-community",
            restricted=True,
        ),
        _profile(
            "flux-schnell",
            "FluxPipeline",
            hub_name="black-forest-labs/FLUX.1-schnell",
            license="apache-2.0",
            steps=4,
            guidance_scale=0.0,
            takes_guidance=False,
        ),
        _profile(
            "flux2-klein-4b",
            "Flux2KleinPipeline",
            hub_name="black-forest-labs/FLUX.2-klein-4B",
            license="apache-2.0",
            takes_guidance=False,
        ),
        _profile(
            "sana",
            "SanaPipeline",
            hub_name="Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers",
            license="nscl-v2-custom",
            restricted=True,
        ),
        _profile(
            "pixart-sigma",
            "PixArtSigmaPipeline",
            hub_name="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
            license="openrail++",
        ),
        _profile(
            "z-image-turbo",
            "ZImagePipeline",
            hub_name="Tongyi-MAI/Z-Image-Turbo",
            license="apache-2.0",
            steps=9,  # of which the last does nothing, so that the denoiser runs 8 times (the model card)
            guidance_scale=0.0,
            takes_guidance=False,
            negative_prompt=False,
        ),
        _profile("qwen-image", "QwenImagePipeline", hub_name="Qwen/Qwen-Image", license="apache-2.0"),
        _profile("lumina2", "Lumina2Pipeline", hub_name="Alpha-VLLM/Lumina-Image-2.0", license="apache-2.0"),
    )
}
DEFAULT = "sd15"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """`images:` with the profile's values filled in."""

    profile: Profile
    folder: Path | None  # of embedded weights; None: `model` is a hub name or a diffusers folder
    model: str  # as people read it: images.model, else the profile's
    revision: str | None  # the configured one, else the profile's pin for the profile's own model
    num_inference_steps: int
    guidance_scale: float  # of plain prompts
    guidance_scale_diversified: float  # of cd and sd prompts
    negative_prompt: str | None
    width: int
    height: int
    safety_checker: bool

    @property
    def family(self) -> Family:
        return self.profile.family

    @property
    def embedded(self) -> bool:
        """Say whether it is a generator of the embedded kind, in place of a pipeline of diffusers."""
        return self.folder is not None

    def guidance_of(self, kind: str) -> float:
        """Return the guidance of a prompt; kind: plain, cd or sd."""
        return self.guidance_scale if kind == "plain" else self.guidance_scale_diversified


def find_profile(images: Images) -> Profile:
    """Find the profile that is named, or that follows from the pipeline class of images.model.

    Raises UsageError for an unknown one.
    """
    if images.profile is None and images.pipeline is not None:
        family = FAMILIES.get(images.pipeline) or Family(pipeline=images.pipeline, known=False)
        return Profile(name=images.pipeline, family=family, **_usual(family))
    if images.profile is None and images.model is not None:
        raise UsageError(
            f"images.model={images.model!r} without images.pipeline: `synaug plan` reads the class from the model; "
            "plan the run, or give a profile"
        )
    name = images.profile or DEFAULT
    if name not in PROFILES:
        raise UsageError(
            f"images.profile={name!r} is unknown; profiles are {', '.join(PROFILES)}; for any other "
            "text-to-image model of diffusers leave it out and give images.model"
        )
    return PROFILES[name]


def _refuse(profile: Profile, setting: str, value: object, why: str) -> None:
    raise UsageError(
        f"images.{setting}={value!r} would be ignored by profile {profile.name}: {why}; "
        "leave it out or use another profile"
    )


def resolve_sampling(images: Images) -> Sampling:
    """Resolve the settings that a run samples with. Raises UsageError for one that the profile would ignore."""
    profile = find_profile(images)
    for setting in ("guidance_scale", "guidance_scale_diversified"):
        value = getattr(images, setting)
        if value and not profile.takes_guidance:
            _refuse(profile, setting, value, "it samples without guidance")
    if images.negative_prompt and not profile.negative_prompt:
        _refuse(profile, "negative_prompt", images.negative_prompt, "it has no negative prompt")
    if images.safety_checker and not profile.family.safety_checker:
        _refuse(profile, "safety_checker", True, "it has none")
    for lever in ("compile", "channels_last", "attention_backend", "step_cache"):
        if (value := getattr(images, lever)) and profile.folder:
            _refuse(profile, lever, value, "it is made for a CPU, and has none of it")
    if images.revision and profile.folder:
        _refuse(profile, "revision", images.revision, "its weights ship with synaug")
    folder = Path(images.model) if images.model and profile.folder else profile.folder
    if folder and not (folder / "unet" / "config.json").is_file():
        raise UsageError(
            f"images.model={str(folder)!r} is no folder of generator weights (unet/, scheduler/), which profile "
            f"{profile.name} takes; in a checkout, `python -m recipes.generator --out FOLDER` writes "
            "one, or leave it out"
        )
    for setting in ("width", "height"):
        value = getattr(images, setting)
        if value and profile.fixed_size and value != profile.native_size:
            _refuse(profile, setting, value, f"it makes {profile.native_size} x {profile.native_size} pixels")
        if value and value % profile.size_multiple:
            raise UsageError(
                f"images.{setting}={value} does not suit profile {profile.name}; "
                f"give a multiple of {profile.size_multiple}"
            )
    guidance = profile.guidance_scale if images.guidance_scale is None else images.guidance_scale
    diversified = guidance if images.guidance_scale_diversified is None else images.guidance_scale_diversified
    off = profile.family.guidance_off
    if images.negative_prompt and profile.family.known and max(guidance, diversified) <= off:
        raise UsageError(
            f"images.negative_prompt={images.negative_prompt!r} would be ignored at "
            f"images.guidance_scale={guidance:g}; it acts above {off:g} only: raise the guidance or leave it out"
        )
    return Sampling(
        profile=profile,
        folder=folder,
        model=images.model or profile.hub_name or profile.name,
        revision=images.revision or (None if images.model else profile.revision),
        num_inference_steps=images.num_inference_steps or profile.steps,
        guidance_scale=guidance,
        guidance_scale_diversified=diversified,
        negative_prompt=images.negative_prompt,
        width=images.width or profile.native_size,
        height=images.height or profile.native_size,
        safety_checker=images.safety_checker,
    )
