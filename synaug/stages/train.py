"""train: one arm and seed.

torch, and what needs it, is imported when a training runs: the command line names every stage without it.
"""

import argparse

from synaug.config.arms import resolve_arm
from synaug.data import layout
from synaug.errors import UsageError
from synaug.run.job import Job
from synaug.run.stages import Task

HELP = "train one arm with one seed"
EPILOG = """\
reads    the real tars, and for a mixed arm the synthetic ones that runs/RUN/index.json lists
writes   runs/RUN/train/ARM/SEED/: settings.json, metrics.jsonl, checkpoint.pt while it trains; then model.safetensors
         (plain timm weights, the main batch norms), aux.safetensors (the auxiliary ones, of AuxBN) and, last, done.json
needs    plan, and index where the arm is mixed; a killed training goes on from its checkpoint
example  python -m synaug train --store ./store --run demo --arm auxbn-2x --seed 0
         synaug train --nproc-per-node 8 --store s3://bucket/synaug --run imagenet --arm auxbn-6x --seed 0
An arm's first checkpoint freezes its settings; other settings are another arm. With several processes each has one GPU,
or gloo on CPUs; several machines: the same command on each, with torchrun's PET_NNODES, PET_RDZV_BACKEND and
PET_RDZV_ENDPOINT set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nproc-per-node", type=int, metavar="N", help="train with N processes here, one per GPU, by torchrun"
    )


def run(job: Job) -> None:
    """Train the job's arm with its seed; a second call does nothing.

    Raises UsageError (settings), DataError (pools, a changed arm), ModelError (model, weights, loss) and
    TransientError (a lost rank).
    """
    if job.arm is None or job.seed is None:
        raise UsageError(
            f"train takes one arm and one seed; "
            f"give --arm ({', '.join(job.config.arms) or 'none in run.yaml'}) and --seed"
        )
    if finished(job):  # without a rendezvous: a rank that is started again after the others ended would wait for them
        return
    import torch

    from synaug.training import distributed, loop

    arm = resolve_arm(job.config, job.arm)
    torch.set_flush_denormal(True)  # denormals, which small gradients become, cost a CPU a hundredfold
    try:
        with distributed.init_distributed(job.config.compute.device) as ranks:
            if ranks.first:  # the log of an attempt before: a rank that loses its peers writes over none
                job.store.delete(layout.log(job.run, "train", Task(stage="train", arm=job.arm, seed=job.seed).unit))
            loop.train(job, arm, ranks)
    finally:
        torch.set_flush_denormal(False)


def finished(job: Job) -> bool:
    """Tell whether the job's arm and seed is trained. Raises DataError when the arm has other settings now."""
    from synaug.training.checkpoint import TrainingFolder

    assert job.arm is not None
    return TrainingFolder(job, resolve_arm(job.config, job.arm)).finished()
