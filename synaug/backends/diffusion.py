"""Text-to-image models: which one a run uses, and opening it. Light; the weights' code is in diffusers_model.py."""

from synaug.backends import hub, profiles
from synaug.config import Config
from synaug.config.images import Images
from synaug.run.plan import ModelInfo


def resolve(config: Config) -> ModelInfo:
    """Name, exact revision and licence of the configured model; loads no weights. Raises UsageError, ModelError."""
    images, sampling = config.images, profiles.sampling(config.images)
    profile = sampling.profile
    if sampling.folder:
        name, revision, license = (
            images.model or profile.name,
            f"sha256:{hub.folder_digest(sampling.folder)[:16]}",
            profile.license,
        )
    else:
        name = images.model or profile.hub_name
        revision, license = hub.resolve(name, revision_of(images, profile), role="diffusion")
        license = license if images.model else profile.license
    return ModelInfo(role="diffusion", name=name, revision=revision, license=license, restricted=profile.restricted)


def revision_of(images: Images, profile: profiles.Profile) -> str | None:
    """The configured one, else the profile's pin for the profile's own model."""
    return images.revision or (None if images.model else profile.revision)


def open_diffusion(config: Config, device):
    """The configured model, as `protocols.Diffusion`. device: a torch.device or its name.

    Raises UsageError for a setting that the profile ignores, ModelError when it cannot be loaded.
    """
    from synaug.backends.diffusers_model import DiffusersModel

    return DiffusersModel.load(config, device, resolve(config))
