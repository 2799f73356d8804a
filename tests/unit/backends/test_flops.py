import pytest

from synaug.backends.flops import guess_rate
from synaug.config import Config


def guess(profile="sd15", gpu="NVIDIA H100 80GB", **images):
    return guess_rate(Config.model_validate({"images": {"profile": profile} | images, "compute": {"gpu_name": gpu}}))


def test_a_known_gpu_and_model_give_a_first_guess_that_says_what_it_is():
    # 25 steps, guided: two passes each
    assert guess() == (
        "by FLOPs, not measured: 42.7 TFLOP an image, so about 8.1 images/s on one NVIDIA H100 80GB, at 35% of its "
        "989 TFLOP/s; `synaug preview` measures"
    )
    assert "22.6 TFLOP" in guess(guidance_scale=1.0)


@pytest.mark.parametrize("gpu", ["A100-SXM4-80GB", "nvidia a100", "L4", "GeForce RTX 4090"])
def test_gpus_are_found_by_a_word_of_their_name(gpu):
    assert gpu in guess(gpu=gpu)


@pytest.mark.parametrize(
    "unknown", [{"gpu": None}, {"gpu": "MI300X"}, {"profile": "flux-schnell"}, {"width": 768}, {"profile": "embedded"}]
)
def test_what_is_in_no_table_is_not_guessed(unknown):
    assert guess(**unknown) is None
