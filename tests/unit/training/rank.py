"""One rank of a training, for torchrun: `rank.py STORE ARM FOLDER [KILL_AT [RANK]]`.

FOLDER/{rank}.json: hashes of each step's images.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from synaug.data.store import open_store
from synaug.errors import describe
from synaug.training import checkpoint
from synaug.training.trainer import Trainer
from tests.unit.training import helpers

store, arm, folder = open_store(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
kill_at, victim = [*map(int, sys.argv[4:]), 0, 0][:2]
rank, step_of, seen = int(os.environ.get("RANK", "0")), Trainer.step, {}
checkpoint.FIRST = checkpoint.LONGEST = 0.0


def step(self, batch, n):
    if kill_at and n == kill_at and rank == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    seen[n] = [hashlib.sha256(image.numpy().tobytes()).hexdigest()[:16] for image in batch.images]
    (folder / f"{rank}.json").write_text(json.dumps(seen))
    return step_of(self, batch, n)


Trainer.step = step
try:
    helpers.train(helpers.job(store, arm))
except Exception as error:
    code, line = describe(error)
    print(line, file=sys.stderr)
    os._exit(code)  # as in a pod: no waiting for a peer that is gone
