import pytest
import torch

from synaug.backends.diffusion import open_diffusion
from synaug.backends.levers import compile_denoiser, levers_of
from synaug.config import Config
from synaug.config.images import Images
from synaug.errors import UsageError
from tests import tiny_pipelines

PROMPTS, SEEDS = ["a cat", "a dog on the moon"], [1, 2]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers")
    return {
        name: str(tiny_pipelines.save(name, folder)) for name in ("stable_diffusion", "qwen_image", "sana", "chroma")
    }


def open_tiny(folders, name, **levers):
    images = {"model": folders[name], "width": 32, "height": 32, "num_inference_steps": 8} | levers
    return open_diffusion(Config.model_validate({"images": images, "compute": {"device": "cpu"}}), "cpu")


def pixels(model):
    guidance = [model.sampling.guidance_scale] * 2
    return model.generate(PROMPTS, SEEDS, guidance_scale=guidance).pixels.int()


@pytest.mark.parametrize(
    ("name", "lever"),
    [
        ("stable_diffusion", {"channels_last": True}),
        ("qwen_image", {"attention_backend": "native"}),
        ("qwen_image", {"step_cache": "first_block"}),
    ],
)
def test_a_lever_leaves_the_images_close_and_the_same_each_time(folders, name, lever):
    plain = pixels(open_tiny(folders, name))
    model = open_tiny(folders, name, **lever)
    fast = pixels(model)
    assert (plain - fast).abs().float().mean() < 12 and torch.equal(fast, pixels(model))


def test_a_call_that_ended_in_the_middle_leaves_nothing_in_the_step_cache(folders, monkeypatch):
    model = open_tiny(folders, "qwen_image", step_cache="first_block")
    before = pixels(model)
    step, left = model.pipeline.scheduler.step, [3]

    def fail(*arguments, **settings):
        left[0] -= 1
        if not left[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(*arguments, **settings)

    monkeypatch.setattr(model.pipeline.scheduler, "step", fail)
    with pytest.raises(torch.OutOfMemoryError):
        pixels(model)
    monkeypatch.setattr(model.pipeline.scheduler, "step", step)
    assert torch.equal(before, pixels(model))


@pytest.mark.parametrize(
    ("name", "lever", "line"),
    [
        (
            "qwen_image",
            {"channels_last": True},
            r"is for UNets, and QwenImageTransformer2DModel is none",
        ),
        ("sana", {"channels_last": True}, r"is for UNets, and SanaTransformer2DModel is none"),
        ("chroma", {"step_cache": "first_block"}, r"ChromaPipeline has no step cache"),
        ("stable_diffusion", {"attention_backend": "native"}, r"takes no backend in diffusers; leave it out"),
        ("sana", {"attention_backend": "native"}, r"takes no backend in diffusers; leave it out"),
        ("qwen_image", {"attention_backend": "flesh"}, r"images\.attention_backend='flesh': .*must be one of"),
        ("stable_diffusion", {"step_cache": "first_block"}, r"StableDiffusionPipeline has no step cache"),
        ("qwen_image", {"step_cache": "first_block", "num_inference_steps": 4}, r"of 4 steps hardly one"),
    ],
)
def test_a_lever_that_the_model_lacks_is_refused(folders, name, lever, line):
    with pytest.raises(UsageError, match=line):
        open_tiny(folders, name, **lever)


def test_levers_that_change_pixels_are_named():
    assert levers_of(Images()) == {}
    named = levers_of(Images(channels_last=True, step_cache="first_block"))
    assert named == {"images.channels_last": "true", "images.step_cache": "first_block"}


@pytest.mark.parametrize(("name", "whole"), [("stable_diffusion", False), ("sana", True)])
def test_a_denoiser_without_known_blocks_is_compiled_whole(name, whole, monkeypatch):
    from synaug.backends.diffusion import denoiser_of

    denoiser, called = denoiser_of(tiny_pipelines.build(name)), []
    monkeypatch.setattr(type(denoiser), "compile", lambda self: called.append("whole"))
    monkeypatch.setattr(type(denoiser), "compile_repeated_blocks", lambda self, **settings: called.append("blocks"))
    compile_denoiser(denoiser)
    assert called == ["whole" if whole else "blocks"]
