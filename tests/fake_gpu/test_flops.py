"""The operations of an image, counted at full size: what plan's first guess and docs/models.md say."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from synaug.backends.flops import WORK
from tests.fake_gpu.device import fake_gpu
from tests.fake_gpu.test_families import FULL


def tflop(function) -> float:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 1e12


@pytest.mark.parametrize(
    ("profile", "key", "width"),
    [
        ("sd15", ("StableDiffusionPipeline", 512), 768),
        pytest.param("sdxl", ("StableDiffusionXLPipeline", 1024), 2048, marks=pytest.mark.slow),
    ],
)
def test_the_work_of_an_image_is_what_the_table_says(profile, key, width, monkeypatch):
    with fake_gpu(monkeypatch) as gpu, torch.no_grad():
        pipeline = FULL[profile]()
        unet, vae = pipeline.unet.to(gpu), pipeline.vae.to(gpu)
        latents = torch.empty(1, 4, key[1] // 8, key[1] // 8, device=gpu)
        added = {"text_embeds": torch.empty(1, 1280, device=gpu), "time_ids": torch.empty(1, 6, device=gpu)}
        states = torch.empty(1, 77, width, device=gpu)
        step = tflop(lambda: unet(latents, 1, states, added_cond_kwargs=added if profile == "sdxl" else None))
        decode = tflop(lambda: vae.decode(latents))
    assert (round(step, 3), round(decode, 3)) == WORK[key]
