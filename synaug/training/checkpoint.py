"""What a training leaves in the store: settings, metrics and checkpoint on the way; model and done.json at the end."""

import io
import json
import pickle
import time
from typing import Any

import torch

from synaug.config import arms
from synaug.config.arms import ResolvedArm
from synaug.data import layout
from synaug.errors import DataError
from synaug.run.completion import training_is_current
from synaug.run.job import Job

LONGEST = 600.0  # seconds between checkpoints, the most that a kill can cost
SHARE = 0.02  # of the time may go into writing them
FIRST = 2.0  # seconds before the first one
SHOWN = 60.0  # seconds between metrics on the way, for who watches


class TrainingFolder:
    """runs/{run}/train/{arm}/{seed}/. Only the first rank writes."""

    def __init__(self, job: Job, arm: ResolvedArm):
        assert job.seed is not None, "the train stage is always called with a seed"
        self.job, self.arm, self.seed = job, arm, job.seed
        self.last, self.cost = time.monotonic(), FIRST * SHARE
        self.shown = time.monotonic()
        self.saved: float | None = None  # Unix time of the last checkpoint of this process

    def key(self, name: str, seed: int | None = None) -> str:
        """Name a file of the folder, or of the folder of another seed."""
        return layout.training(self.job.run, self.arm.name, self.seed if seed is None else seed, name)

    def _json(self, name: str, seed: int | None = None) -> dict | None:
        key = self.key(name, seed)
        return json.loads(self.job.store.get(key)) if self.job.store.exists(key) else None

    def refuse_changes(self) -> None:
        """Refuse another set of settings under the arm's name, over all seeds. Raises DataError."""
        for seed in sorted({*self.job.config.seeds, self.seed}):
            frozen = self._json("settings.json", seed)
            if frozen and any(self.job.store.exists(self.key(name, seed)) for name in ("checkpoint.pt", "done.json")):
                arms.refuse_changes(
                    frozen, json.loads(json.dumps(self.arm.frozen())), where=self.key("settings.json", seed)
                )

    def finished(self) -> bool:
        """Tell whether the training is finished and current, and clear what it no longer needs.

        Raises DataError when the arm has other settings now than were frozen, or than done.json was made with.
        """
        self.refuse_changes()
        done = self._json("done.json")
        if not training_is_current(done, self.arm):
            if done is not None:
                arms.refuse_changes(done, self.arm.frozen(), where=self.key("done.json"))
            return False
        self.clear()
        return True

    def load(self, pools: dict[str, str]) -> dict[str, Any] | None:
        """Load the checkpoint; None where there is none.

        pools: digest by source. Raises DataError for another pool or a broken file.
        """
        key = self.key("checkpoint.pt")
        if not self.job.store.exists(key):
            return None
        try:
            state = torch.load(io.BytesIO(self.job.store.get(key)), map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise DataError(
                f"{key} is no checkpoint of synaug ({str(error).splitlines()[0]}); delete it to train arm "
                f"{self.arm.name} from scratch"
            ) from None
        if changed := [f"{name} pool" for name, digest in pools.items() if state["pools"].get(name) != digest]:
            raise DataError(
                f"{key} was written with another {' and '.join(changed)}; delete it to train {self.arm.name} from "
                "scratch, or name another arm"
            )
        return state

    def metrics(self, step: int) -> list[str]:
        """Load the lines of metrics.jsonl up to a step: those of a killed run past its checkpoint are made again."""
        key = self.key("metrics.jsonl")
        lines = self.job.store.get(key).decode().splitlines() if self.job.store.exists(key) else []
        return [line for line in lines if json.loads(line)["step"] <= step]

    def is_time(self) -> bool:
        """Say whether a checkpoint is due."""
        return time.monotonic() - self.last >= min(LONGEST, self.cost / SHARE)

    def save(self, state: dict[str, Any], metrics: list[str]) -> None:
        """Put a checkpoint, after the settings and the metrics that belong to it."""
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self.put_json("settings.json", self.arm.frozen())
        self._put_metrics(metrics)
        self.job.store.put(self.key("checkpoint.pt"), buffer.getvalue())
        self.last, self.saved = time.monotonic(), round(time.time(), 1)
        self.cost = max(FIRST * SHARE, self.last - started)

    def show(self, metrics: list[str]) -> None:
        """Put metrics between checkpoints, once a minute. A restart drops those past its checkpoint."""
        if time.monotonic() - self.shown >= SHOWN:
            self._put_metrics(metrics)

    def _put_metrics(self, metrics: list[str]) -> None:
        self.job.store.put(self.key("metrics.jsonl"), "".join(line + "\n" for line in metrics).encode())
        self.shown = time.monotonic()

    def finish(self, model: bytes, aux: bytes | None, metrics: list[str], done: dict[str, Any]) -> None:
        """Publish the model, and the auxiliary branches where there are any; done.json last. The checkpoint goes."""
        self.put_json("settings.json", self.arm.frozen())
        self._put_metrics(metrics)
        self.job.store.put(self.key("model.safetensors"), model)
        if aux is not None:
            self.job.store.put(self.key("aux.safetensors"), aux)
        self.put_json("done.json", done)
        self.clear()

    def clear(self) -> None:
        """Delete the checkpoint, which a finished arm does not need; a kill right after done.json leaves one."""
        if self.job.store.exists(self.key("checkpoint.pt")):
            self.job.store.delete(self.key("checkpoint.pt"))

    def put_timing(self, timing: dict[str, Any]) -> None:
        """Put the seconds and rates of the training."""
        key = layout.timing(self.job.run, "train", f"{self.arm.name}-{self.seed}")
        self.job.store.put(key, json.dumps(timing).encode())

    def put_json(self, name: str, value: dict) -> None:
        """Put a JSON file of the folder."""
        self.job.store.put(self.key(name), (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
