"""What `synaug preview` measures and writes to timing/preview/, with as many processes side by side as the run will have."""

import json
from dataclasses import asdict, replace
from statistics import mean

from synaug.config import arms
from synaug.data import layout
from synaug.prompts.schema import ClassPrompts
from synaug.run.job import Job, open_job
from synaug.run.plan import active_arms
from synaug.run.progress import LineReporter
from synaug.run.rates import Pace, prompts_digest, shape
from synaug.runner.log_tail import reported
from synaug.runner.preview.overlay_store import Overlay
from synaug.runner.side_by_side import SideBySide


class PreviewBenchmark:
    """Of one run, in the processes of a crew."""

    def __init__(self, job: Job, overrides: list[str], crew: SideBySide):
        self.job, self.overrides, self.pool = job, overrides, job.config.compute.pool or job.plan.pool
        self.crew, self.count = crew, crew.count
        self.report = reported(LineReporter(every=5))

    def deal(self, classes: list[str], images: int) -> tuple[list[list[str]], list[int]]:
        """Class shards and images of each process: no more at once than the run has shards, or the preview classes."""
        busy = max(1, min(self.count, len(self.job.plan.class_shards), len(classes), images))
        return [classes[n::busy] for n in range(busy)], [len(range(n, images, busy)) for n in range(busy)]

    def images(self, dealt: list[list[str]], counts: list[int]) -> tuple[dict, list[ClassPrompts]]:
        """Prompts and images of every shard, and their timing, written."""
        where = (self.job.store.url, self.job.run, self.overrides, dealt)
        done = self.crew.run(shard, [(*where, n, count) for n, count in enumerate(counts)], self.report)
        timings = [timing for timing, _, _ in done]
        whole = timings[0] | {
            name: round(mean(timing[name] for timing in timings), 3)
            for name in ("rate", "seconds", "load_seconds", "warm_up_seconds")
        }  # of one process
        whole |= {name: sum(timing[name] for timing in timings) for name in ("images", "rejected")}
        whole["bytes_per_image"] = round(mean(timing["bytes_per_image"] for timing in timings))
        self.put("rate", whole)
        device = "cpu" if whole["device"].startswith("CPU") else "cuda"
        self.put(
            "machine",
            {
                "device": device,
                "name": whole["device"],
                "workers": self.count,
                "shards": len(dealt),
                "start": round(self.crew.start, 3),
                "images_load": whole["load_seconds"],
            },
        )
        made = [prompts for _, prompts, _ in done if prompts]
        if made:  # none where the run has its prompts files already
            load, classes = mean(one["phases"]["load"] for one in made), sum(one["classes"] for one in made)
            each = sum(one["seconds"] - one["phases"]["load"] for one in made) / classes
            of = prompts_digest(self.job.config, self.job.plan, self.pool)
            self.put("prompts", {"of": of, "pace": asdict(Pace(load, each)), "classes": classes})
        files = {one.class_id: one for _, _, some in done for one in some}
        return whole, [files[class_id] for class_id in self.job.plan.real_counts if class_id in files]

    def trainings(self):
        """A line for each different shape of arm, as it is measured; all of them written at the end."""
        config, plan = self.job.config, self.job.plan
        names = active_arms(config)
        shapes: dict[str, str] = {}
        for name in names:
            shapes.setdefault(shape(config, plan, arms.resolve_arm(config, name), self.pool), name)
        found, busy = {}, min(self.count, len(names) * len(config.seeds))
        for digest, name in shapes.items():
            done = self.crew.run(
                training, [(self.job.store.url, self.job.run, self.overrides, name)] * busy, self.report
            )
            if None in done:
                yield f"{name}: unmeasured, its batch of images is too large for one device"
                continue
            found[digest] = {"arm": name} | {
                stage: _mean([one[stage] for one in done]) for stage in ("train", "evaluate")
            }
            known = found[digest]["evaluate"]
            evaluated = (
                f"{known['each']:.3g} s an evaluation" if known else "evaluation unmeasured: a test set is not imported"
            )
            yield f"{name}: {1 / found[digest]['train']['each']:.3g} steps/s, {evaluated}, {busy} side by side"
        self.put("train", found)

    def put(self, name: str, value: dict) -> None:
        self.job.store.put(layout.timing(self.job.run, "preview", name), (json.dumps(value, indent=1) + "\n").encode())


def _mean(paces: list[dict | None]) -> dict | None:
    return None if None in paces else {name: mean(pace[name] for pace in paces) for name in paces[0]}


def shard(argument: tuple, report) -> tuple[dict, dict | None, list[ClassPrompts]]:
    """Of one process: timing of its images, of its prompts where it made any, and its prompts files."""
    from synaug.runner.preview.images import trial
    from synaug.stages import prompts

    url, run, overrides, dealt, n, images = argument
    job = open_job(url, run, overrides=overrides, report=report)
    job = replace(job, store=Overlay(job.store, run), plan=job.plan.model_copy(update={"class_shards": dealt}), shard=n)
    prompts.run(job)
    key = layout.preview(run, layout.timing(run, "prompts", f"{n:03d}").removeprefix(layout.run_folder(run)))
    written = job.store.exists(key)
    result = trial(job, images)
    return result.timing, json.loads(job.store.get(key)) if written else None, result.prompts


def training(argument: tuple, report) -> dict | None:
    """None where the arm's whole batch, which a training may spread over several devices, is too large for this one."""
    import torch

    from synaug.runner.preview.training import trial

    url, run, overrides, arm = argument
    job = open_job(url, run, overrides=overrides, report=report)
    try:
        return trial(job, arms.resolve_arm(job.config, arm))
    except torch.OutOfMemoryError:
        return None
