"""Every family on a fake GPU, in the types that its profile has there: from prompts to pixels through our backend."""

import pytest
import torch

from synaug.backends import diffusion, memory
from synaug.backends.profiles import resolve_sampling
from synaug.config import Config
from synaug.run.plan import ModelInfo
from tests import tiny_pipelines
from tests.fake_gpu.device import fake_gpu

PROMPTS = ["a cat", "a photo of a dog on the moon, at night, in the rain", "a painting of a cat"]
# HiDream routes tokens to experts by their values, in shapes that depend on them: it needs real numbers. Of Lumina 2
# and Qwen-Image, FakeTensorMode would compute some constants on a real GPU. Not shown here.
WITHOUT = {"hidream", "lumina2", "qwen_image"}
RARE = {"latent_consistency", "sana_sprint", "aura_flow", "chroma", "hunyuan_image"}
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in RARE else name
    for name in tiny_pipelines.TINY
    if name not in WITHOUT
]


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch):
    monkeypatch.setattr(memory, "_held", {})


def tiny_config(name, folder, **own) -> Config:
    size = 64 if name == "hunyuan_image" else 32
    images = {"model": str(folder), "pipeline": tiny_pipelines.class_of(folder), "width": size, "height": size}
    return Config.model_validate({"images": images | {"num_inference_steps": 2} | own})


@pytest.mark.parametrize("name", NAMES)
def test_a_family_runs_where_the_weights_are_on_a_gpu(name, tmp_path, monkeypatch):
    folder = tiny_pipelines.save(name, tmp_path)
    config = tiny_config(name, folder)
    info = ModelInfo(role="diffusion", name=str(folder), revision="0", license="none")
    sampling = resolve_sampling(config.images)
    dtypes = diffusion.choose_dtypes(config, sampling, torch.device("cuda"))
    pipeline = diffusion._load_pipeline(config, sampling, info, *dtypes)  # real: files are read on the CPU
    pipeline.set_progress_bar_config(disable=True)
    with fake_gpu(monkeypatch) as gpu:
        diffusion.place(pipeline, gpu, "none")
        model = diffusion.DiffusersModel(pipeline, sampling, info, device=gpu)
        denoiser = diffusion.denoiser_of(model.pipeline)
        family = model.family
        assert {p.device.type for p in denoiser.parameters()} == {"cuda"}
        assert (
            str(denoiser.dtype) == f"torch.{family.dtype}"
            and str(model.pipeline.vae.dtype) == f"torch.{family.vae_dtype}"
        )
        encoded = model.encode(PROMPTS)
        made = model.generate(PROMPTS, [1, 2, 3], guidance_scale=[family.guidance_scale] * 3, encoded=encoded)
        assert made.pixels.shape == (3, 3, config.images.height, config.images.width)
        assert made.pixels.device.type == "cpu" and made.pixels.dtype == torch.uint8 and len(made.finite) == 3


FULL = {
    "sd15": lambda: _stable_diffusion_15(),
    "sdxl": lambda: _stable_diffusion_xl(),
}


def _clip_text(width: int, layers: int, heads: int, *, projection: bool = False, act: str = "quick_gelu"):
    import transformers

    config = transformers.CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
        projection_dim=width, hidden_act=act, vocab_size=49408,
    )  # fmt: skip
    return (transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel)(config).eval()


def _vae():
    import diffusers

    return diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
    ).eval()  # fmt: skip


def _stable_diffusion_15():
    """runwayml/stable-diffusion-v1-5's published configuration."""
    import diffusers

    unet = diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    return diffusers.StableDiffusionPipeline(
        vae=_vae(), text_encoder=_clip_text(768, 12, 12), tokenizer=tiny_pipelines.clip_tokenizer(), unet=unet.eval(),
        scheduler=diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def _stable_diffusion_xl():
    """stabilityai/stable-diffusion-xl-base-1.0's published configuration."""
    import diffusers

    unet = diffusers.UNet2DConditionModel(
        sample_size=128, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
        addition_embed_type="text_time", addition_time_embed_dim=256, use_linear_projection=True,
        projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(), text_encoder=_clip_text(768, 12, 12), unet=unet.eval(),
        text_encoder_2=_clip_text(1280, 32, 20, projection=True, act="gelu"),
        tokenizer=tiny_pipelines.clip_tokenizer(), tokenizer_2=tiny_pipelines.clip_tokenizer(),
        scheduler=diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "parameters"),
    [("sd15", 859_520_964), pytest.param("sdxl", 2_567_463_684, marks=pytest.mark.slow)],
)
def test_a_profile_runs_at_its_full_size(profile, parameters, monkeypatch):
    """parameters: of the published denoiser."""
    config = Config.model_validate({"images": {"profile": profile, "num_inference_steps": 2}})
    sampling = resolve_sampling(config.images)
    info = ModelInfo(role="diffusion", name=profile, revision="0", license="none")
    with fake_gpu(monkeypatch) as gpu, torch.no_grad():
        dtype, vae_dtype = diffusion.choose_dtypes(config, sampling, gpu)
        pipeline = FULL[profile]()
        assert sum(p.numel() for p in pipeline.unet.parameters()) == parameters
        for name, component in pipeline.components.items():
            if isinstance(component, torch.nn.Module):
                component.to(vae_dtype if name == "vae" else dtype)
        pipeline.set_progress_bar_config(disable=True)
        diffusion.place(pipeline, gpu, "none")
        model = diffusion.DiffusersModel(pipeline, sampling, info, device=gpu)
        made = model.generate(PROMPTS, [1, 2, 3], guidance_scale=[sampling.guidance_scale] * 3)
    assert made.pixels.shape == (3, 3, sampling.height, sampling.width) and made.pixels.dtype == torch.uint8
