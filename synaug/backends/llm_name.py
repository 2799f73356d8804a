"""Which LLM a run uses. Without torch."""

from synaug.backends import hub
from synaug.config import Config
from synaug.embedded import smollm2
from synaug.run.plan import ModelInfo


def resolve(config: Config) -> ModelInfo:
    """Name, revision and licence of the run's LLM; no weights are loaded. Raises ModelError."""
    settings = config.prompts.llm
    if settings.model == "embedded":
        return ModelInfo(
            role="llm", name="SmolLM2-135M-Instruct (Q4_1)", revision=smollm2.revision(), license="Apache-2.0"
        )
    revision, license = hub.resolve(settings.model, settings.revision, role="llm")
    return ModelInfo(role="llm", name=settings.model, revision=revision, license=license)
