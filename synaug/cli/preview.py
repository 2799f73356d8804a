"""`synaug preview`: a few classes through senses, prompts and images before anything is spent.

The preview itself, which needs torch, is imported when one is made: --help starts without it.
"""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from synaug.cli.parser import add_override_arguments, add_run_argument, add_store_argument
from synaug.data import layout
from synaug.data.seeding import draws
from synaug.errors import UsageError
from synaug.run import outputs
from synaug.run.job import Job, open_job
from synaug.run.plan import Plan
from synaug.runner.log_tail import LogTail, end_if_stalled, log_tail_on_failure

if TYPE_CHECKING:
    from synaug.prompts.schema import ClassPrompts

HELP = "make a few images of a few classes: a contact sheet to look at, and the measured rate of every stage"
EPILOG = """\
reads    the run's plan, its prompts files where they exist, the real images, the LLM, CLIP and diffusion weights
writes   runs/NAME/preview/ (contact-sheet.png, and prompts and images of its own) and timing/preview/: the rates of
         prompts, images, training steps and evaluations that plan's estimate takes, measured with as many processes
         side by side as the run will have; nothing that freezes the run: settings may still change
needs    a planned run (`synaug plan`)
example  synaug preview --images 20 --store ./store --run first --classes n02012849,n03126707
"""
CLASSES = 4  # shown unless --classes names them
REAL = 4  # real images of each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store_argument(parser)
    add_run_argument(parser)
    parser.add_argument("--images", type=int, default=20, metavar="N", help="synthetic images in all (default: 20)")
    parser.add_argument("--classes", metavar="A,B", help=f"class ids (default: {CLASSES} drawn by the run's seed)")
    add_override_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Make a preview. Raises UsageError for an unknown class or a number of images below 1."""
    if args.images < 1:
        raise UsageError(f"--images {args.images}: give 1 or more")
    tail = LogTail("preview", args.store, layout.log(args.run, "preview", "all"), beside=layout.plan(args.run))
    with log_tail_on_failure(tail):
        job = open_job(args.store, args.run, overrides=args.overrides)
        classes = chosen(job.plan, job.config.seed, args.classes, args.images)
        with end_if_stalled(job.config.compute.stall_minutes, tail):
            _preview(job, classes, args.images, args.overrides)


def chosen(plan: Plan, seed: int, listed: str | None, images: int) -> list[str]:
    """Choose the classes of a preview, ids in label order. Raises UsageError for one that the run has not."""
    every = list(plan.real_counts)
    if listed is None:
        picked = draws("preview", seed).sample(every, min(CLASSES, len(every), images))
    else:
        picked = [class_id.strip() for class_id in listed.split(",")]
    for class_id in picked:
        if class_id not in every:
            raise UsageError(
                f"--classes {class_id}: the run has no such class id; "
                f"its {len(every)} classes begin with {', '.join(every[:3])}"
            )
    return [class_id for class_id in every if class_id in picked]


def _preview(job: Job, classes: list[str], images: int, overrides: list[str]) -> None:
    from synaug.backends.devices import choose_local_devices
    from synaug.reporting.contact_sheet import contact_sheet
    from synaug.runner.preview.benchmark import PreviewBenchmark
    from synaug.runner.preview.images import draw_rows
    from synaug.runner.preview.overlay_store import Overlay
    from synaug.runner.worker_pool import WorkerCrew

    for key in list(job.store.list(layout.preview(job.run, ""))):
        job.store.delete(key)
    devices = choose_local_devices(job.config.compute, job.config.threads)
    own = [*overrides, f"compute.device={devices.device}"] if devices.device else overrides
    with WorkerCrew(devices.workers, threads=job.config.threads, gpus=devices.gpus) as crew:
        benchmark = PreviewBenchmark(job, own, crew)
        tasks = benchmark.distribute(classes, images)
        timing, files = benchmark.measure_images(tasks)
        plan = job.plan.model_copy(update={"class_shards": tasks[0].class_shards})
        previewed = replace(job, store=Overlay(job.store, job.run), plan=plan)
        rows = draw_rows(previewed, REAL, [task.images for task in tasks])
        job.store.put(layout.preview(job.run, "contact-sheet.png"), contact_sheet(rows))
        outputs.write("rate", timing)
        for prompts in files:
            print(sense_line(prompts))
        rate, size, device = timing["rate"], timing["bytes_per_image"], timing["device"]
        print(f"{rate:.3g} images/s on {device} in batches of {timing['batch_size']}, {size:,} bytes an image")
        print(f"contact sheet: {job.store.url.rstrip('/')}/{layout.preview(job.run, 'contact-sheet.png')}", flush=True)
        for line in benchmark.measure_trainings():
            print(line)


def sense_line(prompts: "ClassPrompts") -> str:
    """Say what a class is taken to mean: `n02012849: crane, "large long-necked wading bird", margin 0.081`."""
    facts = [f"{prompts.class_id}: {prompts.name}", f'"{prompts.chosen}"' if prompts.chosen else "the plain name"]
    if prompts.margin is not None:
        facts.append(f"margin {prompts.margin:.3f}")
    facts += ["look at it: the margin is small or no sense fits"] if prompts.flagged else []
    facts += [f"fell back: {reason}" for reason in prompts.fallback]
    return ", ".join(facts)
