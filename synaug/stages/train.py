"""train: one arm and seed."""

from synaug.errors import UsageError
from synaug.job import Job

HELP = "train one arm with one seed"
EPILOG = """\
reads    the real tars, and for a mixed arm the synthetic ones that runs/RUN/index.json lists
writes   runs/RUN/train/ARM/SEED/: settings.json, metrics.jsonl, checkpoint.pt while it trains; then model.safetensors
         (plain timm weights, the main batch norms) and, last, done.json
needs    plan, and index where the arm is mixed; a killed training goes on from its checkpoint
example  python -m synaug train --store ./store --run demo --arm auxbn-2x --seed 0
         torchrun --nproc-per-node 8 -m -- synaug train --store s3://bucket/synaug --run imagenet --arm auxbn-6x --seed 0
An arm's first checkpoint freezes its settings; other settings are another arm. With several processes each has one GPU, or gloo on CPUs."""


def run(job: Job) -> None:
    """Raises UsageError (settings), DataError (pools, a changed arm), ModelError (model, weights, loss), TransientError (lost rank)."""
    if job.arm is None or job.seed is None:
        raise UsageError(f"train takes one arm and one seed; give --arm ({', '.join(job.config.arms) or 'none in run.yaml'}) and --seed")
    import torch

    from synaug.training import arms, distributed, loop

    recipe = arms.recipe(job.config, job.arm)
    torch.set_flush_denormal(True)  # denormals, which small gradients become, cost a CPU a hundredfold
    try:
        with distributed.joined(job.config.compute.device) as ranks:
            loop.train(job, recipe, ranks)
    finally:
        torch.set_flush_denormal(False)
