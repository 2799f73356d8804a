"""One rank of a training on its own GPU, for torchrun: `rank.py STORE ARM`."""

import sys

from synaug.config import arms
from synaug.data.store import open_store
from synaug.training import distributed, loop
from tests.unit.training import helpers

job = helpers.job(open_store(sys.argv[1]), sys.argv[2], settings=helpers.config(sync_bn=True, amp="bfloat16"))
with distributed.init_distributed("cuda") as ranks:
    loop.train(job, arms.resolve_arm(job.config, job.arm), ranks)
