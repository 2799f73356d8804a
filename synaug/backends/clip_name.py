"""Which CLIP a run uses. Without torch for the embedded one and models of the hub; the lists of open_clip import it."""

import hashlib
from pathlib import Path

from synaug.backends import hub
from synaug.config import Config
from synaug.errors import ModelError
from synaug.run.plan import ModelInfo

EMBEDDED = Path(__file__).parent.parent / "embedded" / "clip"
HUB_PREFIX = "hf-hub:"  # open_clip's


def resolve(config: Config) -> ModelInfo:
    """Name, revision and licence of the run's CLIP; no weights are loaded. Raises ModelError."""
    settings = config.prompts.clip
    if settings.model == "embedded":
        revision = _file_digest(EMBEDDED / "model.safetensors")
        return ModelInfo(role="clip", name="synaug embedded CLIP", revision=revision, license="Apache-2.0")
    name = settings.model if settings.pretrained is None else f"{settings.model} {settings.pretrained}"
    revision, license = _resolve_open_clip(settings)
    return ModelInfo(role="clip", name=name, revision=revision, license=license)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _resolve_open_clip(settings) -> tuple[str, str]:
    if settings.model.startswith(HUB_PREFIX):
        return hub.resolve(settings.model.removeprefix(HUB_PREFIX), settings.revision, role="clip")
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if settings.model not in open_clip.list_models():
        near = _near(settings.model, open_clip.list_models())
        raise ModelError(
            f"prompts.clip.model: open_clip has no {settings.model!r}; did you mean {near}, or `embedded`?"
        )
    if settings.pretrained and Path(settings.pretrained).is_file():
        return _file_digest(Path(settings.pretrained)), "see the file"
    tags = open_clip.list_pretrained_tags_by_model(settings.model)
    weights = get_pretrained_cfg(settings.model, settings.pretrained) if settings.pretrained in tags else None
    if not weights:
        known = ", ".join(tags)
        raise ModelError(
            f"prompts.clip.pretrained: {settings.model} has no weights {settings.pretrained!r}; give a file or one of {known}"
        )
    if weights.get("hf_hub"):
        return hub.resolve(weights["hf_hub"].rstrip("/"), settings.revision, role="clip")
    return f"open_clip {open_clip.__version__} {settings.pretrained}", "see open_clip"


def _near(name: str, names: list[str]) -> str:
    from rapidfuzz import process

    return repr(process.extractOne(name, names)[0])
