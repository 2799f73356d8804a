"""The run's LLM: behind an endpoint, or of transformers: from the hub, a folder, or the embedded SmolLM2."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BatchEncoding, DynamicCache
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from synaug.backends import hub
from synaug.backends.devices import find_device
from synaug.backends.endpoint import open_endpoint
from synaug.backends.memory import hold
from synaug.backends.protocols import LLM, Answer, LLMCapabilities, Question
from synaug.backends.resolve import resolve_llm
from synaug.backends.weights import fetch_weights, weights_folder
from synaug.config import Config
from synaug.embedded import smollm2
from synaug.errors import ModelError
from synaug.run.plan import ModelInfo
from synaug.run.progress import LineReporter
from synaug.run.tokens import TokenCount
from synaug.telemetry import beat

SMALL = 1e9  # parameters


class CausalModel(Protocol):
    """What is used of a transformers model that continues texts."""

    config: Any
    generation_config: Any

    @property
    def device(self) -> torch.device: ...

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...

    def generate(self, **settings) -> torch.Tensor: ...

    def __call__(self, input_ids: torch.Tensor, **settings) -> CausalLMOutputWithPast: ...


def open_llm(config: Config) -> LLM:
    """Open the run's LLM at its configured revision, once per process.

    Raises ModelError; UsageError for a device that is not there.
    """
    settings = config.prompts.llm
    if settings.endpoint:
        return open_endpoint(settings)
    device, info = find_device(config.compute.device), resolve_llm(config)
    if settings.model == "embedded":
        source = str(smollm2.model_folder())
    else:
        weights = fetch_weights(config, info, LineReporter())
        source = settings.model if weights is None else str(weights_folder(weights))
    tokenizer, model = hold(
        "llm", (source, settings.dtype, str(device)), lambda: _load(source, settings.model, settings.dtype, str(device))
    )
    return ChatLLM(info, tokenizer, model, temperature=settings.temperature, top_p=settings.top_p)


def _load(source: str, name: str, dtype: str, device: str) -> tuple[PreTrainedTokenizerBase, CausalModel]:
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, dtype))
    except (OSError, ValueError) as error:
        raise hub.load_error(error, f"LLM {name!r}", "give a chat model of transformers or `embedded`") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval().to(device)


class ChatLLM:
    """A causal model of transformers, behind `protocols.LLM`.

    Sampling by torch's generator, seeded at each call: equal on equal hardware, threads, dtype and n.
    """

    def __init__(
        self,
        info: ModelInfo,
        tokenizer: PreTrainedTokenizerBase,
        model: CausalModel,
        *,
        temperature: float,
        top_p: float,
    ):
        self.info, self.tokenizer, self.model = info, tokenizer, model
        self.temperature, self.top_p = temperature, top_p
        small = sum(p.numel() for p in model.parameters()) < SMALL
        self.capabilities = LLMCapabilities(small=small, likelihoods=True, batches=True)
        self.tokens = TokenCount()

    @torch.inference_mode()
    def generate(self, question: Question) -> list[Answer]:
        """Sample n answers together, each up to its first stop text; a schema is not enforced.

        Raises ModelError for a chat where the model has no template.
        """
        tokens = self._tokenize(question.messages)
        ends = [*self._tokens_with(question.stop), *self._special_ends()]
        device = self.model.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(question.seed)
            output = self.model.generate(
                **{name: value.expand(question.n, -1) for name, value in tokens.items()},
                past_key_values=self._read_prompt(tokens, question.n),
                do_sample=True,
                temperature=self.temperature,
                top_p=self.top_p,
                top_k=0,
                max_new_tokens=question.max_tokens,
                eos_token_id=ends,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        beat()
        read, written = tokens["input_ids"].shape[1], output[:, tokens["input_ids"].shape[1] :]
        ended = torch.isin(written, torch.tensor(ends, device=written.device))
        # all up to and with the first end; without one, all
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, written.shape[1]).tolist()
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        answers = [
            Answer(_cut_at(text, question.stop), cut=not whole, tokens=TokenCount(read, length))
            for text, whole, length in zip(texts, ended.any(1).tolist(), lengths, strict=True)
        ]
        self.tokens = sum((answer.tokens for answer in answers), self.tokens)
        return answers

    @torch.inference_mode()
    def log_likelihoods(self, prompt: str, continuations: list[str]) -> list[float]:
        """Compute the mean log-probability per token of each continuation after the prompt."""
        head = self.tokenizer(prompt, add_special_tokens=True)["input_ids"]
        tails = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in continuations]
        longest = len(head) + max(map(len, tails))
        ids = torch.full((len(tails), longest), self.tokenizer.pad_token_id)
        for row, tail in zip(ids, tails, strict=True):
            row[: len(head) + len(tail)] = torch.tensor(head + tail)
        mask = torch.zeros_like(ids)
        for row, tail in zip(mask, tails, strict=True):
            row[: len(head) + len(tail)] = 1
        device = self.model.device
        logits = self.model(ids.to(device), attention_mask=mask.to(device)).logits
        assert logits is not None
        chosen = (
            logits[:, len(head) - 1 : -1]
            .float()
            .log_softmax(-1)
            .gather(-1, ids[:, len(head) :, None].to(device))[..., 0]
        )
        return [float(row[: len(tail)].mean()) for row, tail in zip(chosen, tails, strict=True)]

    def _read_prompt(self, tokens: BatchEncoding, n: int) -> DynamicCache:
        """The cache of all but the last token, read once for n answers; num_return_sequences would read it n times."""
        cache = DynamicCache(config=self.model.config)
        if tokens["input_ids"].shape[1] == 1:
            return cache
        self.model(tokens["input_ids"][:, :-1], past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(n)
        return cache

    def _tokenize(self, messages: list[dict[str, str]] | str) -> BatchEncoding:
        if isinstance(messages, str):
            return self.tokenizer(messages, return_tensors="pt").to(self.model.device)
        if not self.tokenizer.chat_template:
            raise ModelError(
                f"LLM {self.info.name} has no chat template; give an instruct model, or prompts.llm.output=lines"
            )
        tokens = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        assert isinstance(tokens, BatchEncoding)  # return_dict
        return tokens.to(self.model.device)

    def _special_ends(self) -> list[int]:
        ends = self.model.generation_config.eos_token_id
        ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
        return ends + ([self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else [])

    @functools.cache  # noqa: B019 - a process holds one model
    def _tokens_with(self, stop: tuple[str, ...]) -> list[int]:
        """Tokens that hold a stop text: each row of a batch ends at its own."""
        if not stop:
            return []
        texts = self.tokenizer.batch_decode([[n] for n in range(len(self.tokenizer))])
        return [n for n, text in enumerate(texts) if any(s in text for s in stop)]


def _cut_at(text: str, stop: Sequence[str]) -> str:
    return text[: min([at for s in stop if (at := text.find(s)) >= 0], default=len(text))]
