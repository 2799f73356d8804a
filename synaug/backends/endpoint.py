"""An LLM behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`, or hosted.

The key is read when a client is made and kept by it alone: whatever a server says is shown without it, and errors of
the client, whose texts may repeat the key, are never chained. No torch here, and the
client is imported when it is used: plan passes through.
"""

import json
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from synaug.backends.protocols import Answer, LLMCapabilities, Question
from synaug.config import prompts
from synaug.errors import ModelError, TransientError
from synaug.run.plan import ModelInfo
from synaug.run.tokens import TokenCount
from synaug.telemetry import beat

if TYPE_CHECKING:
    from openai import OpenAI

RETRIES = 5  # of the client: half a second to 8 s apart, or what Retry-After says, up to two minutes
CONNECT = 10.0  # seconds
NAMED = 5  # models of a server in an error
# A schema that no answer fits by chance: it tells a server that takes schemas from one that ignores them.
PROBE = {
    "type": "object",
    "properties": {"reply": {"type": "string", "enum": ["q7"]}},
    "required": ["reply"],
    "additionalProperties": False,
}
SHAPES = (AttributeError, IndexError, TypeError, ValueError)  # what another shape of answer leads to
Form = Literal["schema", "object", "text"]
FORMS: tuple[Form, ...] = ("schema", "object", "text")


def endpoint_info(settings: prompts.LLM) -> ModelInfo:
    """Name the model of an endpoint; which weights it serves under the name, only its operator knows."""
    return ModelInfo(
        role="llm", name=settings.model, revision="as served by an endpoint", license="see the endpoint's operator"
    )


@lru_cache(maxsize=1)  # what the server takes is asked once a process, not once a shard
def open_endpoint(settings: prompts.LLM) -> "EndpointLLM":
    """Open the endpoint of some settings; nothing is asked yet."""
    return EndpointLLM(settings)


class EndpointLLM:
    """A model of a server, behind `protocols.LLM`. Questions may be asked from many threads.

    What the server takes is found out once, with the first use of `capabilities` or of `generate`.
    """

    def __init__(self, settings: prompts.LLM):
        assert settings.endpoint is not None
        self.info, self.settings = endpoint_info(settings), settings
        self.tokens = TokenCount()
        self._lock, self._limit_name = threading.Lock(), "max_tokens"

    @cached_property
    def capabilities(self) -> LLMCapabilities:
        """Find out whether the model is there and how it can be held to JSON.

        Raises ModelError for a refused key, an unknown model or an endpoint that is none, TransientError.
        """
        self._check_model()
        return LLMCapabilities(json=self._find_form(), concurrency=self.settings.concurrency)

    def generate(self, question: Question) -> list[Answer]:
        """Ask n times at once, with a seed each: not every server takes n. Raises ModelError, TransientError."""
        form = self.capabilities.json
        seeds = [(question.seed + n) % 2**31 for n in range(question.n)]
        if question.n == 1:
            return [self._complete(question, seeds[0], form)]
        with ThreadPoolExecutor(min(question.n, self.settings.concurrency), "llm") as pool:
            return list(pool.map(lambda seed: self._complete(question, seed, form), seeds))

    def log_likelihoods(self, prompt: str, continuations: list[str]) -> list[float]:
        """Raise ModelError: servers do not tell likelihoods of given texts in one way."""
        raise ModelError(f"{self._where} gives no likelihoods of texts; senses are ranked by its answers")

    @cached_property
    def _client(self) -> "OpenAI":
        from httpx2 import Timeout
        from openai import OpenAI

        name = self.settings.api_key_env
        key = os.environ.get(name, "").strip() if name else ""
        if name and not key:
            raise ModelError(
                f"prompts.llm.api_key_env: {name} is not set; put the endpoint's key into it, and run again"
            )
        return OpenAI(
            base_url=self.settings.endpoint,
            api_key=key or "none",  # the client wants one; servers without keys ignore it
            max_retries=RETRIES,
            timeout=Timeout(self.settings.timeout, connect=CONNECT),
        )

    @property
    def _where(self) -> str:
        return f"LLM endpoint {self.settings.endpoint}"

    def _check_model(self) -> None:
        """Compare with the server's list, where it has one that can be read."""
        from openai import APIConnectionError, APIError, AuthenticationError, PermissionDeniedError

        try:
            served = [model.id for model in self._client.models.list()]
        except (APIConnectionError, AuthenticationError, PermissionDeniedError) as error:
            self._refuse(error)
        except (APIError, *SHAPES):
            return  # no list: the first question tells
        if served and self.settings.model not in served:
            more = f" and {len(served) - NAMED} more" if len(served) > NAMED else ""
            raise ModelError(
                f"{self._where} serves no {self.settings.model!r}; set prompts.llm.model to one of "
                f"{', '.join(served[:NAMED])}{more}"
            )

    def _find_form(self) -> Form:
        """Try the strictest form first.

        An error that is gone without response_format means that it is not taken, whatever its code (llama-cpp-python
        answers 500); and a server that ignores it is known by its answer.
        """
        from openai import APIStatusError, OpenAIError

        for form in FORMS:
            question = Question(
                messages=[{"role": "user", "content": "Say something kind. Answer with a JSON object only."}],
                seed=0,
                max_tokens=64,
                schema=None if form == "text" else PROBE,
            )
            try:
                answer = self._ask(question, 0, form, retries=RETRIES if form == "text" else 1)
            except APIStatusError as error:
                if form == "text" or error.status_code in (401, 403, 404, 429):
                    self._refuse(error)
                continue
            except (OpenAIError, *SHAPES) as error:
                self._refuse(error)
            if form == "text" or _fits(answer.text, form):
                return form
        raise AssertionError("the last form returns or raises")

    def _complete(self, question: Question, seed: int, form: Form) -> Answer:
        from openai import OpenAIError

        try:
            return self._ask(question, seed, form, retries=RETRIES)
        except (OpenAIError, *SHAPES) as error:
            self._refuse(error)

    def _ask(self, question: Question, seed: int, form: Form, retries: int) -> Answer:
        """One request; the client waits for 429 and 5xx, as Retry-After says. Raises the client's errors."""
        from openai import BadRequestError

        messages: Any = question.messages
        if isinstance(messages, str):  # a text to continue
            order = "Continue this list. Answer with the rest of its last line only, in the same form."
            messages = [{"role": "user", "content": f"{order}\n\n{question.messages}"}]
        request: dict[str, Any] = {
            "model": self.settings.model,
            "messages": messages,
            "seed": seed,
            "temperature": self.settings.temperature,
            "top_p": self.settings.top_p,
        }
        if question.stop:
            request["stop"] = list(question.stop)
        if question.schema is not None and form != "text":
            request["response_format"] = _response_format(form, question.schema)
        chats: Any = self._client.with_options(max_retries=retries).chat.completions  # too many overloads for a dict
        try:
            response = chats.create(**request, **{self._limit_name: question.max_tokens})
        except BadRequestError as error:
            if self._limit_name != "max_tokens" or "max_completion_tokens" not in str(error):
                raise
            self._limit_name = "max_completion_tokens"  # what OpenAI's own newer models take instead
            response = chats.create(**request, **{self._limit_name: question.max_tokens})
        beat()
        usage = response.usage
        tokens = TokenCount(usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else TokenCount()
        with self._lock:
            self.tokens += tokens
        choice = response.choices[0]
        return Answer(choice.message.content or "", cut=choice.finish_reason == "length", tokens=tokens)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise what an error of the client means, without its text's secrets and without chaining it."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        where, code = self._where, error.status_code if isinstance(error, APIStatusError) else None
        if isinstance(error, APITimeoutError):
            raise TransientError(
                f"{where} gave no answer within {self.settings.timeout:g} s, {RETRIES + 1} times; "
                "raise prompts.llm.timeout or lower prompts.llm.concurrency"
            ) from None
        if isinstance(error, APIConnectionError):
            reason = self._without_key(str(error.__cause__ or "no connection"))
            raise TransientError(
                f"{where} is out of reach ({reason}); start it or correct prompts.llm.endpoint"
            ) from None
        if code in (401, 403):
            name = self.settings.api_key_env
            advice = (
                f"put a valid one into {name}" if name else "name the variable that holds it in prompts.llm.api_key_env"
            )
            raise ModelError(f"{where} refuses the key ({code}); {advice}") from None
        said = self._without_key(_message(error))
        if code == 404:
            raise ModelError(
                f"{where} knows no model {self.settings.model!r}, or no chat completions (404: {said}); "
                "correct prompts.llm.model or prompts.llm.endpoint, which mostly ends in /v1"
            ) from None
        if code is not None and (code in (408, 409, 429) or code >= 500):
            raise TransientError(
                f"{where} answers {code} after {RETRIES} more tries ({said}); run again later"
            ) from None
        if code is not None:
            raise ModelError(f"{where} refuses the question ({code}: {said}); correct prompts.llm") from None
        raise ModelError(f"{where} answers no chat completion ({said}); give an OpenAI-compatible server") from None

    def _without_key(self, text: str) -> str:
        key = self._client.api_key
        text = text.replace(key, "[key]") if key != "none" else text
        return (" ".join(text.split()) or "no reason given")[:160]


def _response_format(form: Form, schema: Mapping[str, Any]) -> dict[str, Any]:
    if form == "schema":
        return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    return {"type": "json_object", "schema": schema}  # llama-cpp-python's, ignored by others


def _fits(text: str, form: Form) -> bool:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return False
    return value == {"reply": "q7"} if form == "schema" else isinstance(value, dict)


def _message(error: Exception) -> str:
    """What the server said, out of the many shapes of error bodies."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        said = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
        if isinstance(said, str):
            return said
    return str(error)
