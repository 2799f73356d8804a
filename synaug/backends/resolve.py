"""From the configuration to the exact models of a run: name, revision and licence. No weights are loaded.

Plan and the control image pass through here: only the lists of open_clip import torch, where a run uses them.
"""

import hashlib
import json
from pathlib import Path

from synaug.backends import hub
from synaug.backends.endpoint import open_endpoint
from synaug.backends.families import is_image_to_image
from synaug.backends.profiles import resolve_sampling
from synaug.backends.protocols import LLMCapabilities
from synaug.backends.weights import HUB_PREFIX
from synaug.config import Config, prompts
from synaug.config.suggest import did_you_mean
from synaug.embedded import DATA, smollm2
from synaug.errors import ModelError
from synaug.run.plan import ModelInfo


def resolve_llm(config: Config) -> ModelInfo:
    """Resolve the run's LLM; an endpoint is asked whether it serves it. Raises ModelError, TransientError."""
    settings = config.prompts.llm
    if settings.endpoint:
        llm = open_endpoint(settings)
        _ = llm.capabilities
        return llm.info
    if settings.model == "embedded":
        name = "SmolLM2-135M-Instruct (Q4_1)"
        return ModelInfo(role="llm", name=name, revision=smollm2.revision(), license="Apache-2.0")
    found = hub.find_model(settings.model, settings.revision, role="llm")
    return ModelInfo(role="llm", name=settings.model, revision=found.revision, license=found.license)


def known_capabilities(config: Config) -> list[LLMCapabilities]:
    """List what the run's LLM may be able to do, as far as that is known before it is loaded: small, and not.

    Raises ModelError, TransientError.
    """
    settings = config.prompts.llm
    if settings.endpoint:
        return [open_endpoint(settings).capabilities]
    both = [LLMCapabilities(small=small, likelihoods=True, batches=True) for small in (True, False)]
    return both[:1] if settings.model == "embedded" else both


def resolve_clip(config: Config) -> ModelInfo:
    """Resolve the run's CLIP. Raises ModelError, TransientError."""
    settings = config.prompts.clip
    if settings.model == "embedded":
        revision = _file_digest(DATA / "clip" / "model.safetensors")
        return ModelInfo(role="clip", name="synaug embedded CLIP", revision=revision, license="Apache-2.0")
    name = settings.model if settings.pretrained is None else f"{settings.model} {settings.pretrained}"
    found = _find_open_clip(settings)
    return ModelInfo(role="clip", name=name, revision=found.revision, license=found.license)


def resolve_diffusion(config: Config) -> ModelInfo:
    """Resolve the run's diffusion model.

    Raises UsageError for a setting that it would ignore, ModelError, TransientError.
    """
    config = with_pipeline(config)
    sampling = resolve_sampling(config.images)
    profile = sampling.profile
    if sampling.folder:
        found = hub.FoundModel(f"sha256:{hub.folder_digest(sampling.folder)[:16]}", profile.license)
    else:
        found = hub.find_model(sampling.model, sampling.revision, role="diffusion")
    license = found.license if config.images.model else profile.license
    return ModelInfo(
        role="diffusion",
        name=sampling.model,
        revision=found.revision,
        license=license,
        restricted=profile.restricted or bool(config.images.model and hub.is_restricted(license)),
    )


def with_pipeline(config: Config) -> Config:
    """Fill in images.pipeline, the class of images.model, by what the model says; no profile says it then.

    Raises ModelError for a model that is none of diffusers, or no text-to-image one; TransientError.
    """
    images = config.images
    if images.profile is not None or images.model is None or images.pipeline is not None:
        return config
    data = hub.read_file(images.model, "model_index.json", images.revision)
    try:
        pipeline = json.loads(data)["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{images.model}: its model_index.json names no pipeline class; {hub.OWN}") from error
    pipeline = pipeline[-1] if isinstance(pipeline, list) else pipeline
    if is_image_to_image(pipeline):
        raise ModelError(
            f"{images.model} is a {pipeline}, which makes no images from prompts alone; give images.model a "
            "text-to-image model"
        )
    return config.model_copy(update={"images": images.model_copy(update={"pipeline": pipeline})})


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _find_open_clip(settings: prompts.CLIP) -> hub.FoundModel:
    if settings.model.startswith(HUB_PREFIX):
        return hub.find_model(settings.model.removeprefix(HUB_PREFIX), settings.revision, role="clip")
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if settings.model not in open_clip.list_models():
        near = did_you_mean(settings.model, open_clip.list_models())
        raise ModelError(
            f"prompts.clip.model: open_clip has no {settings.model!r}{near}; "
            "give one of open_clip.list_models(), or `embedded`"
        )
    if settings.pretrained and Path(settings.pretrained).is_file():
        return hub.FoundModel(_file_digest(Path(settings.pretrained)), "see the file")
    tags = open_clip.list_pretrained_tags_by_model(settings.model)
    weights = get_pretrained_cfg(settings.model, settings.pretrained) if settings.pretrained in tags else None
    if not weights:
        raise ModelError(
            f"prompts.clip.pretrained: {settings.model} has no weights {settings.pretrained!r}; give a file or one of "
            f"{', '.join(tags)}"
        )
    if weights.get("hf_hub"):
        return hub.find_model(weights["hf_hub"].rstrip("/"), settings.revision, role="clip")
    return hub.FoundModel(f"open_clip {open_clip.__version__} {settings.pretrained}", "see open_clip")
