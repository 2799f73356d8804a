"""What only a GPU can show. Without one each test is skipped with its reason, but for those that a CPU can run too."""

import pytest
import torch

GPUS = torch.cuda.device_count()
needs_gpu = pytest.mark.skipif(GPUS < 1, reason="needs an NVIDIA GPU")
needs_two_gpus = pytest.mark.skipif(GPUS < 2, reason="needs two NVIDIA GPUs")
DEVICES = ["cpu", pytest.param("cuda:0", marks=needs_gpu)]
