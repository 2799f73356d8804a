"""Memory of the images stage over 100,000 samples through a fake generator: the last tenth within 5% of the second.

In a process of its own: blocks that an earlier benchmark gave back to the allocator would hide what leaks.
"""

import multiprocessing
import tempfile
from pathlib import Path

import torch

from synaug.data.store import open_store
from synaug.generation.part import PartMaker, request_part
from tests.benchmarks.machine import resident
from tests.benchmarks.result import Result
from tests.fakes import FakeCLIP, FakeDiffusion
from tests.images_run import images_job


class Forgetful(FakeDiffusion):
    """Does not collect its calls."""

    def generate(self, *arguments, **settings):
        self.calls.clear()
        self.windows.clear()
        return super().generate(*arguments, **settings)


def run(*, samples: int = 100_000, part: int = 2_500, batch: int = 50, leak: int = 0) -> list[Result]:
    """leak: bytes kept for each image, to see that this would be found."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (samples, part, batch, leak))


def measure(samples: int, part: int, batch: int, leak: int) -> list[Result]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store", create=True)
        job = images_job(
            store, images=-(-samples // 3), part_images=part, batch_size=batch, guidance_scale_diversified=None
        )
        peaks, accepted, leaked = [0] * 10, 0, []

        def done(good: int, rejected: int) -> None:
            nonlocal accepted
            accepted += good
            leaked.append(b"\1" * (leak * good))
            tenth = min(9, accepted * 10 // samples)
            peaks[tenth] = max(peaks[tenth], resident())

        maker = PartMaker(
            store=store,
            run=job.run,
            config=job.config,
            plan=job.plan,
            diffusion=Forgetful(),
            clip=FakeCLIP(),
            versions={},
            threads=1,
            done=done,
        )
        try:
            for planned in job.plan.parts(job.config, 0, 1):
                maker.make(request_part(store, job.run, job.config, job.plan, planned))
        finally:
            maker.close()
    details = {"MiB by tenth": [round(peak / 2**20, 1) for peak in peaks], "samples": accepted}
    name = f"memory: last tenth / second tenth of {samples:,} samples"
    return [Result(name=name, values=[peaks[9] / peaks[1]], target="<= 1.05", details=details)]
