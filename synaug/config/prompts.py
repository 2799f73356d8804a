"""`prompts:` what each class name means, and the texts that the images are made from."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from synaug.config.settings import FrozenModel, execution, identity


class Prices(FrozenModel):
    """`prompts.llm.price_per_million:` what an endpoint takes for a million tokens."""

    input: float | None = execution(None, "Of tokens read, in your currency", ge=0)
    output: float | None = execution(None, "Of tokens written, in your currency", ge=0)

    @model_validator(mode="after")
    def are_both_given(self) -> Self:
        if (self.input is None) != (self.output is None):
            raise ValueError("one price is missing; give both input and output")
        return self


class LLM(FrozenModel):
    """`prompts.llm:` the model that writes definitions, scenes and styles."""

    model: str = identity(
        "embedded",
        "`embedded` (SmolLM2-135M, CPU), a chat model of transformers (a hub name or a folder), or what the endpoint "
        "calls its model",
    )
    endpoint: str | None = execution(
        None, "URL of an OpenAI-compatible server, like http://host:8000/v1; none: the model is loaded here"
    )
    api_key_env: str | None = execution(
        None, "Name of the environment variable that holds the endpoint's key; the key itself is written nowhere"
    )
    concurrency: int = execution(16, "Classes whose questions an endpoint is asked at once", ge=1, le=512)
    timeout: float = execution(300, "Longest wait for one answer of an endpoint", unit="seconds", gt=0, le=3600)
    price_per_million: Prices = Prices()
    revision: str | None = identity(None, "Branch, tag or commit on the hub; plan resolves it to a commit")
    output: Literal["auto", "json", "lines"] = identity(
        "auto", "`json`: strict JSON; `lines`: few-shot lines parsed one by one; auto: lines below 1 B parameters"
    )
    temperature: float = identity(0.8, "Sampling temperature", gt=0, le=2)
    top_p: float = identity(0.95, "Nucleus sampling", gt=0, le=1)
    max_tokens: int = identity(512, "Most new tokens of one answer", unit="tokens", ge=8)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = execution(
        "auto", "Weights' type; auto: float32 on a CPU, else bfloat16"
    )

    @field_validator("endpoint")
    @classmethod
    def endpoint_is_a_url_without_secrets(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it is no URL of a server; give one like http://host:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("a URL is written to run.yaml; name the key's variable in prompts.llm.api_key_env instead")
        return endpoint.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def api_key_env_is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError("it is no name of an environment variable; give one like LLM_API_KEY, never the key")
        return name

    @model_validator(mode="after")
    def endpoint_has_a_model(self) -> Self:
        if self.endpoint and (self.model == "embedded" or self.revision):
            raise ValueError(
                "an endpoint needs prompts.llm.model, the name that it serves, and no revision, which only it knows"
            )
        if self.api_key_env and not self.endpoint:
            raise ValueError("api_key_env belongs to an endpoint; give prompts.llm.endpoint, too")
        return self


class CLIP(FrozenModel):
    """`prompts.clip:` the model that compares images and texts."""

    model: str = identity("embedded", "`embedded` (a small CLIP on MiniLM, CPU) or a model name of open_clip")
    pretrained: str | None = identity(None, "open_clip's tag of the weights, or a file")
    revision: str | None = identity(None, "Digest of the weights; resolved by plan")


class Mix(FrozenModel):
    """`prompts.mix:` shares of the prompt kinds, which add up to 1."""

    plain: float = identity(1 / 3, "Share of images made from the plain prompt", ge=0)
    cd: float = identity(1 / 3, "Share with contextualized diversification", ge=0)
    sd: float = identity(1 / 3, "Share with stylized diversification", ge=0)

    @model_validator(mode="after")
    def adds_up(self) -> Self:
        if abs(self.plain + self.cd + self.sd - 1) > 1e-3:
            raise ValueError(f"the shares add up to {self.plain + self.cd + self.sd:g}; they must add up to 1")
        return self


class Prompts(FrozenModel):
    """`prompts:` what each class name means, and the texts that the images are made from."""

    llm: LLM = LLM()
    clip: CLIP = CLIP()
    senses: bool = identity(True, "Let LLM and CLIP settle what each name means; false: the unchanged name")
    max_senses: int = identity(5, "Most senses of one name that are compared", ge=1, le=20)
    sense_images: int = identity(
        32,
        "Seeded real training images of a class (and of the other classes together) that senses are compared with",
        unit="images",
        ge=4,
    )
    min_margin: float = identity(
        0.01, "A choice of sense by less than this margin of the score is flagged", unit="cosine similarity", ge=0
    )
    mix: Mix = Mix()
    values: int = identity(
        8, "Values of each context attribute (foreground, background, lighting, angle) of a class", ge=1, le=64
    )
    examples: list[str] = identity(
        list,
        "Example scenes for the LLM, each `class: foreground | background | lighting | angle`; empty: the built-in "
        "ones",
    )
    styles: list[str] | str = identity(
        "embedded", "Style list of the run: `embedded`, a YAML file beside run.yaml, or the list itself"
    )
    definitions: bool = identity(
        True,
        "Let the chosen sense's definition follow the class name in prompts; false: it only guides what the LLM writes",
    )
    template: str = identity("a photo of {name}", "Plain prompt; {name} is the class name with its article")
    max_fallback: float = identity(
        1.0, "Stop when more than this share of the classes fell back to the plain name", ge=0, le=1
    )

    @field_validator("template")
    @classmethod
    def template_names_the_class(cls, template: str) -> str:
        if "{name}" not in template or set(re.findall(r"\{(.*?)\}", template)) != {"name"}:
            raise ValueError("it needs {name} and no other field, like `a photo of {name}`")
        return template
