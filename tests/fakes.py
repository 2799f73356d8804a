"""The one fake generator, for memory, scale and failure tests; everything else runs real models."""

import threading
from dataclasses import dataclass, field

import torch

from synaug.backends.protocols import Answer, Generated, LLMCapabilities
from synaug.run.plan import ModelInfo
from synaug.run.tokens import TokenCount

INFO = ModelInfo(role="diffusion", name="fake", revision="1", license="none")


@dataclass
class FakeDiffusion:
    """Pictures that are a function of (prompt, seed, guidance).

    fault: (prompt, seed) -> None, "not finite", "black" or "flagged".
    """

    size: int = 16
    most: int = 1_000_000  # larger batches run out of memory
    fault: object = lambda prompt, seed: None
    info: ModelInfo = INFO
    dtype: str = "float16"
    seconds: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)  # prompts of each generated batch
    windows: list = field(default_factory=list)  # prompts of each encoded window
    lock: threading.Lock = field(default_factory=threading.Lock)

    def encode(self, texts):
        self.windows.append(list(texts))
        return set(texts)

    def find_truncated(self, prompts):
        return {prompt for prompt in prompts if len(prompt) > 200}

    def generate(self, prompts, seeds, *, guidance_scale, encoded=None):
        assert encoded is None or set(prompts) <= encoded
        assert len(set(guidance_scale)) == 1 and len(guidance_scale) == len(prompts) == len(seeds)
        if len(prompts) > self.most:
            raise torch.OutOfMemoryError(f"{len(prompts)} images do not fit")
        self.calls.append(list(prompts))
        pixels, finite, flagged = torch.empty(len(prompts), 3, self.size, self.size), [], []
        for n, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
            pixels[n] = torch.rand(3, self.size, self.size, generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05
            pixels[n, :, 0, 0] = len(prompt) % 97 / 97
            fault = self.fault(prompt, seed)
            finite.append(fault != "not finite")
            if fault == "black":
                pixels[n] = 0
            flagged.append(fault == "flagged")
        return Generated((pixels * 255).round().to(torch.uint8), finite, flagged)


class FakeCLIP:
    """Embeds by mean colour and by length: quick, deterministic."""

    info = ModelInfo(role="clip", name="fake", revision="1", license="none")

    def embed_texts(self, texts):
        return torch.nn.functional.normalize(torch.tensor([[len(text) % 7 + 1.0, 1, 1] for text in texts]), dim=-1)

    def embed_images(self, images):
        means = [list(image.resize((1, 1)).getpixel((0, 0))) for image in images]
        return torch.nn.functional.normalize(torch.tensor(means, dtype=torch.float32) + 1, dim=-1)


class Answers:
    """A large LLM that gives recorded answers, then "nothing"; questions: those that it was asked."""

    def __init__(self, *answers, **capabilities):
        self.answers, self.questions = list(answers), []
        self.capabilities, self.tokens = LLMCapabilities(**capabilities), TokenCount()

    @property
    def seeds(self):
        return [question.seed for question in self.questions]

    def generate(self, question):
        self.questions.append(question)
        given = [self.answers.pop(0) if self.answers else "nothing" for _ in range(question.n)]
        return [answer if isinstance(answer, Answer) else Answer(answer) for answer in given]
