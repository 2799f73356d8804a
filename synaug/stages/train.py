"""train: one arm and seed."""

from synaug.errors import UsageError
from synaug.job import Job

HELP = "train one arm with one seed"
EPILOG = """\
Reads the real and the synthetic tars of the run (index.json must exist for arms with synthetic images); writes runs/RUN/train/ARM/SEED/:
settings.json, checkpoint.pt, metrics.jsonl, model.safetensors (plain timm weights) and, last, done.json. Goes on from its checkpoint.
Needs: plan, and index where the arm is mixed. With several processes, on the GPUs of a machine or on CPUs:

  python -m synaug train --store ./store --run demo --arm auxbn-2x --seed 0
  torchrun --nproc-per-node 8 -m -- synaug train --store s3://bucket/synaug --run imagenet --arm auxbn-6x --seed 0
"""


def run(job: Job) -> None:
    """Raises UsageError (settings), DataError (pools, a changed arm), ModelError (model, weights, loss), TransientError (lost rank)."""
    if job.arm is None or job.seed is None:
        raise UsageError(f"train takes one arm and one seed; give --arm ({', '.join(job.config.arms) or 'none in run.yaml'}) and --seed")
    from synaug.training import arms, distributed, loop

    recipe = arms.recipe(job.config, job.arm)
    with distributed.joined(job.config.compute.device) as ranks:
        loop.train(job, recipe, ranks)
