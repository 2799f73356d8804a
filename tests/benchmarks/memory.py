"""Memory of the images stage over 100,000 samples: the last tenth within 5% of the second."""

import tempfile
from pathlib import Path

import torch

from synaug.generation.part import PartMaker, recipe
from synaug.store import open_store
from tests.benchmarks.result import Result
from tests.fakes import FakeCLIP, FakeDiffusion
from tests.images_run import images_job

SAMPLES, PART = 100_000, 2_500


def resident() -> int:
    """Bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS in /proc/self/status: this benchmark needs Linux")


def run(samples: int = SAMPLES) -> list[Result]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        job = images_job(store, images=-(-samples // 3), part_images=PART, batch_size=50, guidance_scale_diversified=None)
        peaks, made = [0] * 10, [0]

        def done(good: int, rejected: int) -> None:
            made[0] += good
            tenth = min(9, made[0] * 10 // samples)
            peaks[tenth] = max(peaks[tenth], resident())

        class Forgetful(FakeDiffusion):
            def generate(self, *arguments, **settings):
                self.calls.clear(), self.windows.clear()
                return super().generate(*arguments, **settings)

        maker = PartMaker(
            store=store, run=job.run, config=job.config, plan=job.plan, diffusion=Forgetful(), clip=FakeCLIP(), versions={}, threads=1,
            done=done,
        )  # fmt: skip
        for part in job.plan.parts(job.config, 0, 1):
            maker.make(recipe(store, job.run, job.config, job.plan, part))
        maker.close()
    details = {"MiB by tenth": [round(peak / 2**20, 1) for peak in peaks], "samples": samples}
    return [Result(name=f"memory, last tenth / second, {samples:,} samples", value=peaks[9] / peaks[1], target="<= 1.05", details=details)]
