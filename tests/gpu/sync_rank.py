"""One rank of a SyncBN step, for torchrun: `sync_rank.py BACKEND FOLDER`.

FOLDER/{rank}.pt: its outputs, statistics and gradients.
"""

import os
import sys
from pathlib import Path

import torch
from torch import distributed as dist

from synaug.training import auxbn
from tests.gpu.sync_model import BATCH, inputs, outcome, plain

backend, folder = sys.argv[1], Path(sys.argv[2])
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
device = torch.device("cuda", rank % torch.cuda.device_count())
torch.cuda.set_device(device)
dist.init_process_group(backend)
network = auxbn.sync(auxbn.with_aux(plain())).to(device).train()
half = BATCH // 2 // size
slices = [slice(start + rank * half, start + (rank + 1) * half) for start in (0, BATCH // 2)]
auxbn.set_split(network, n_real=half, batch=2 * half)
result = outcome(network, torch.cat([inputs()[part] for part in slices]).to(device))
for name, gradient in result["gradients"].items():
    gradient = gradient.to(device)
    dist.all_reduce(gradient)
    result["gradients"][name] = gradient.cpu()
torch.save(result, folder / f"{rank}.pt")
dist.destroy_process_group()
