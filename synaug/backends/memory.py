"""The models that this process holds, and what is done when memory runs out.

One model a role (llm, clip, diffusion) at a time: a worker goes through several stages, and what the prompts stage
needed would take the GPU memory of the images. torch is imported by what loads models, not here.
"""

import gc
import os
import sys
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from filelock import FileLock, Timeout

from synaug import telemetry
from synaug.errors import UsageError, first_line, is_out_of_memory

LOAD_LOCK = "SYNAUG_LOAD_LOCK"  # file that workers with a GPU each lock while they load
Model = TypeVar("Model")

_held: dict[str, tuple[Hashable, object]] = {}


def hold(role: str, key: Hashable, load: Callable[[], Model]) -> Model:
    """Return the process's model of a role, loaded where it holds none or one of another key.

    The other one is let go before the new one is loaded: side by side they may not fit.
    """
    held = _held.get(role)
    if held is not None and held[0] == key:
        return cast(Model, held[1])
    del held
    if _held.pop(role, None) is not None:
        free_memory()
    with _in_turn():
        model = load()
    _held[role] = key, model
    return model


@contextmanager
def _in_turn() -> Iterator[None]:
    """Let the workers of a machine load one after another: each reads its model into the machine's memory first.

    At a time, where LOAD_LOCK names a file. Waiting for it is a sign of life: a download may be under way.
    """
    path = os.environ.get(LOAD_LOCK)
    if not path:
        yield
        return
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=10)
            break
        except Timeout:
            telemetry.beat()
    try:
        yield
    finally:
        lock.release()


def release_models(keep: Collection[str] = ()) -> None:
    """Let go of the models of all roles but `keep`; their GPU memory is free for others then."""
    unwanted = [role for role in _held if role not in keep]
    for role in unwanted:
        del _held[role]
    if unwanted:
        free_memory()


def free_memory() -> None:
    """Return unused GPU memory to the device; what a cycle of references holds, too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@contextmanager
def name_what_to_lower(doing: str, settings: str) -> Iterator[None]:
    """Turn "out of memory", of the GPU or of the machine, into a UsageError that names the settings to lower.

    doing: like "images"; settings: how to get by with less, after "to do with less: ".
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, UsageError) or not is_out_of_memory(error):
            raise
        raise UsageError(f"{doing}: out of memory ({first_line(error)}); to do with less: {settings}") from error
