"""prompts/{class_id}.json: senses and pools of one class, made to be read and edited; and prompts composed from it."""

from pydantic import Field

from synaug.config.settings import FrozenModel

ATTRIBUTES = ("foreground", "background", "lighting", "angle")


class Sense(FrozenModel):
    sense: str
    definition: str = ""
    likelihood: float | None = Field(
        None, description="Mean log-probability per token that a small LLM gave the definition"
    )
    score: float | None = Field(
        None, description="Mean CLIP similarity to the class's images less that to other classes'"
    )


class ClassPrompts(FrozenModel):
    """Unknown keys are refused, so that a misspelled edit is seen."""

    class_id: str
    name: str = Field(description="Name in the prompts")
    senses: list[Sense] = Field(description="Best first")
    chosen: str = Field(
        description="Definition of the sense; sd prompts take it from here, plain and cd prompts from `plain`: edit both"
    )
    margin: float | None = None
    flagged: bool = Field(False, description="The margin is small, or no sense fits: look at it")
    fallback: list[str] = Field(default_factory=list, description="What fell back to the plain name and why")
    pools: dict[str, list[str]] = Field(description="Values by attribute: foreground, background, lighting, angle")
    refused: dict[str, int] = Field(
        default_factory=dict, description="Values of the LLM that were not taken, by reason"
    )
    plain: list[str] = Field(description="Plain prompts")
    made_by: dict[str, str] = Field(default_factory=dict)


class Prompt(FrozenModel):
    text: str
    kind: str
    attributes: dict[str, str] = Field(default_factory=dict)
