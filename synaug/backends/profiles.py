"""Diffusion models as profiles: what each wants, and which settings it would ignore. No weights, no torch."""

from dataclasses import dataclass
from pathlib import Path

from synaug.config.images import Images
from synaug.embedded import DATA
from synaug.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One model family. dtype and vae_dtype are for a GPU, cpu_dtype for a CPU."""

    name: str
    hub_name: str | None = None
    folder: Path | None = None  # of weights that ship with synaug, in place of hub_name
    revision: str | None = None  # pinned commit of hub_name
    license: str
    restricted: bool = False  # asks for images.accept_license
    steps: int
    guidance_scale: float
    takes_guidance: bool = True
    negative_prompt: bool = True
    safety_checker: bool = False
    compiles: bool = True  # has transformer blocks for regional compilation
    scheduler: str  # of diffusers
    scheduler_kwargs: dict
    native_size: int  # pixels
    size_multiple: int = 8  # width and height are multiples of this
    fixed_size: bool = False
    dtype: str = "float16"
    vae_dtype: str = "float16"
    cpu_dtype: str = "float32"


# Pins seen in public use on 2026-11; timestep spacing and solver as each model card or diffusers' documentation says.
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b"
_TURBO = "stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304"
_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="embedded",
            folder=DATA / "generator",
            license="Apache-2.0",
            steps=12,
            guidance_scale=1.0,
            negative_prompt=False,
            compiles=False,
            scheduler="DPMSolverMultistepScheduler",
            scheduler_kwargs={},
            native_size=32,
            size_multiple=1,
            fixed_size=True,
            dtype="bfloat16",
            vae_dtype="float32",
            cpu_dtype="bfloat16",
        ),
        Profile(
            name="sd15",
            hub_name=_SD15[0],
            revision=_SD15[1],
            license="creativeml-openrail-m",
            steps=25,
            guidance_scale=2.0,
            safety_checker=True,
            scheduler="DPMSolverMultistepScheduler",
            scheduler_kwargs={"use_karras_sigmas": True},
            native_size=512,
        ),
        Profile(  # the VAE overflows in float16 (diffusers#11228)
            name="sdxl",
            hub_name=_SDXL[0],
            revision=_SDXL[1],
            license="openrail++",
            steps=25,
            guidance_scale=2.0,
            scheduler="DPMSolverMultistepScheduler",
            scheduler_kwargs={"use_karras_sigmas": True},
            native_size=1024,
            vae_dtype="float32",
        ),
        Profile(
            name="sdxl-turbo",
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
            vae_dtype="float32",
        ),
    )
}


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
    def embedded(self) -> bool:
        """Say whether it is a generator of the embedded kind, in place of a pipeline of diffusers."""
        return self.folder is not None

    def guidance_of(self, kind: str) -> float:
        """Return the guidance of a prompt; kind: plain, cd or sd."""
        return self.guidance_scale if kind == "plain" else self.guidance_scale_diversified


def find_profile(name: str) -> Profile:
    """Find a profile by its name. Raises UsageError for an unknown one."""
    if name not in PROFILES:
        raise UsageError(f"images.profile={name!r} is unknown; profiles are {', '.join(PROFILES)}")
    return PROFILES[name]


def _refuse(profile: Profile, setting: str, value: object, why: str) -> None:
    raise UsageError(
        f"images.{setting}={value!r} would be ignored by profile {profile.name}: {why}; "
        "leave it out or use another profile"
    )


def resolve_sampling(images: Images) -> Sampling:
    """Resolve the settings that a run samples with. Raises UsageError for one that the profile would ignore."""
    profile = find_profile(images.profile)
    for setting in ("guidance_scale", "guidance_scale_diversified"):
        value = getattr(images, setting)
        if value and not profile.takes_guidance:
            _refuse(profile, setting, value, "it was distilled to sample without guidance")
    if images.negative_prompt and not profile.negative_prompt:
        _refuse(profile, "negative_prompt", images.negative_prompt, "it has no negative prompt")
    if images.safety_checker and not profile.safety_checker:
        _refuse(profile, "safety_checker", True, "it has none")
    if images.compile and not profile.compiles:
        _refuse(profile, "compile", True, "it has no blocks to compile")
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
    if images.negative_prompt and max(guidance, diversified) <= 1:
        raise UsageError(
            f"images.negative_prompt={images.negative_prompt!r} would be ignored at "
            f"images.guidance_scale={guidance:g}; it acts above 1 only: raise the guidance or leave it out"
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
