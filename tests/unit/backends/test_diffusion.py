import pytest
import torch

from synaug.backends.diffusion import open_diffusion
from synaug.backends.resolve import resolve_diffusion
from synaug.config import Config
from synaug.config.images import Images
from synaug.errors import ModelError, UsageError
from tests import tiny_diffusion

PROMPTS = ["a photo of a cat", "a photo of a dog on the moon", "a painting of a cat in the snow"]
SEEDS = [11, 12, 13]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "sd15": tiny_diffusion.save_sd(folder),
        "sdxl": tiny_diffusion.save_sdxl(folder),
        "sdxl-turbo": folder / "sdxl",
    }


def config(profile, folders, **settings):
    settings = {"width": 32, "height": 32, "num_inference_steps": 2, **settings}
    return Config(images=Images(profile=profile, model=str(folders[profile]), **settings))


@pytest.fixture(scope="module", params=["sd15", "sdxl", "sdxl-turbo"])
def model(request, folders):
    return open_diffusion(config(request.param, folders), "cpu")


def guidance(model, n=3):
    return [model.sampling.guidance_scale] * n


def apart(some, others) -> float:
    """The largest difference of two sets of pixels, of 255."""
    return float((some.float() - others.float()).abs().max())


def test_gives_one_finite_picture_a_prompt(model):
    made = model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model))
    assert made.pixels.shape == (3, 3, 32, 32) and made.pixels.dtype == torch.uint8
    assert made.finite == [True] * 3 and made.flagged == [False] * 3


def test_the_same_seeds_give_the_same_bits_and_others_do_not(model):
    first, second = (model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).pixels for _ in range(2))
    assert torch.equal(first, second)
    other = model.generate(PROMPTS, [11, 12, 99], guidance_scale=guidance(model)).pixels
    assert apart(first[:2], other[:2]) <= 1 and apart(first[2], other[2]) > 2


def test_a_picture_hardly_depends_on_its_batch(model):
    together = model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).pixels
    alone = model.generate(PROMPTS[1:2], SEEDS[1:2], guidance_scale=guidance(model, 1)).pixels
    assert apart(together[1], alone[0]) <= 1


def test_equals_diffusers_own_call(model):
    made = model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).pixels
    expected = model.pipeline(
        PROMPTS,
        generator=[torch.Generator().manual_seed(s) for s in SEEDS],
        num_inference_steps=2,
        width=32,
        height=32,
        guidance_scale=model.sampling.guidance_scale,
        output_type="pt",
    ).images
    assert apart(made, (expected * 255).round()) <= 1


def test_the_profile_sets_the_scheduler(model):
    profile = model.sampling.profile
    assert type(model.pipeline.scheduler).__name__ == profile.scheduler
    assert {key: model.pipeline.scheduler.config[key] for key in profile.scheduler_kwargs} == profile.scheduler_kwargs


def test_prompts_beyond_77_tokens_are_counted_as_truncated(model):
    long = "a photo of a cat " * 30
    assert model.find_truncated([*PROMPTS, long]) == {long}


def test_guidance_and_a_negative_prompt_change_the_picture(folders):
    def first(**settings):
        model = open_diffusion(config("sd15", folders, **settings), "cpu")
        return model.generate(PROMPTS[:1], SEEDS[:1], guidance_scale=guidance(model, 1)).pixels

    plain, guided, negative = (
        first(guidance_scale=1.0),
        first(guidance_scale=60.0),
        first(guidance_scale=60.0, negative_prompt="snow"),
    )
    assert apart(plain, guided) > 1 and apart(guided, negative) > 0


def test_an_overflowing_vae_stays_visible_as_not_finite(folders):
    model = open_diffusion(config("sdxl", folders), "cpu")
    with torch.no_grad():
        model.pipeline.vae.decoder.conv_out.bias.fill_(float("inf"))  # what float16 does to SDXL's activations
    assert model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).finite == [False] * 3


def test_sdxl_decodes_in_float32_whatever_the_denoiser(folders):
    model = open_diffusion(config("sdxl", folders, dtype="bfloat16"), "cpu")
    assert model.pipeline.unet.dtype == torch.bfloat16 and model.pipeline.vae.dtype == torch.float32
    assert model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).finite == [True] * 3


def test_a_failed_allocation_of_the_cpu_is_out_of_memory(folders, monkeypatch):
    model = open_diffusion(config("sd15", folders), "cpu")
    monkeypatch.setattr(
        model.pipeline.vae, "decode", lambda *a, **k: torch.empty(1 << 60, dtype=torch.uint8)
    )  # a real refusal
    with pytest.raises(torch.OutOfMemoryError):
        model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model))


def test_a_safety_checker_that_the_model_lacks_is_refused(folders):
    with pytest.raises(ModelError, match="safety_checker"):
        open_diffusion(config("sd15", folders, safety_checker=True), "cpu")


def test_a_folder_without_a_pipeline_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_diffusion(Config(images=Images(profile="sd15", model=str(tmp_path))), "cpu")


def test_resolve_names_a_folder_by_its_contents(folders, tmp_path):
    info = resolve_diffusion(config("sd15", folders))
    assert info.role == "diffusion" and info.revision == resolve_diffusion(config("sd15", folders)).revision
    assert info.revision != resolve_diffusion(config("sdxl", folders)).revision


def test_resolve_refuses_an_ignored_setting(folders):
    with pytest.raises(UsageError, match="negative_prompt"):
        resolve_diffusion(config("sdxl-turbo", folders, negative_prompt="blurry"))


def test_a_decoding_that_ran_out_of_memory_says_nothing_of_the_next_batch(folders):
    """In slices: the first of the broken batch was not finite, and the second did not fit."""
    model = open_diffusion(config("sd15", folders), "cpu")
    decoder, calls = model._decoder, []
    decode = decoder._decode

    def fail_second(latents, *arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (torch.full((1, 3, 32, 32), float("nan")),)

    decoder._slice, decoder._decode = 1, fail_second
    with pytest.raises(torch.OutOfMemoryError):
        model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model))
    decoder._decode = decode
    assert model.generate(PROMPTS, SEEDS, guidance_scale=guidance(model)).finite == [True] * 3
