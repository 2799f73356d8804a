"""Pipelines of the true size and classes of SD 1.5 and SDXL, and a CLIP ViT-B/32, with random weights.

As quick as the true ones.
"""

from pathlib import Path

import open_clip
import torch

# By the modules that define them: the lazy names of `diffusers` itself mean nothing to a type checker.
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.tiny_diffusion import tokenizer

# As the configuration files of stable-diffusion-v1-5 and stable-diffusion-xl-base-1.0 have them.
CLIP_L = dict(
    vocab_size=49408,
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    projection_dim=768,
    max_position_embeddings=77,
)
BIG_G = CLIP_L | dict(
    hidden_size=1280,
    intermediate_size=5120,
    num_hidden_layers=32,
    num_attention_heads=20,
    projection_dim=1280,
    hidden_act="gelu",
)
SDXL_UNET = dict(
    sample_size=128,
    block_out_channels=(320, 640, 1280),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=(1, 2, 10),
    attention_head_dim=(5, 10, 20),
    cross_attention_dim=2048,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)
NOISE = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)


def vae(size: int, scaling_factor: float):
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=size,
        scaling_factor=scaling_factor,
    )


def parts(profile: str) -> dict:
    """Build the models of a pipeline with random weights; profile: sd15 or sdxl."""
    text = CLIPTextModel(CLIPTextConfig.from_dict(CLIP_L))
    if profile == "sd15":
        return {
            "unet": UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
            "vae": vae(512, 0.18215),
            "text_encoder": text,
        }
    return {
        "unet": UNet2DConditionModel(**SDXL_UNET),
        "vae": vae(1024, 0.13025),
        "text_encoder": text,
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig.from_dict(BIG_G)),
    }


def save(folder: Path, profile: str) -> Path:
    """Save a pipeline in bfloat16; returns its folder."""
    torch.manual_seed(0)
    models = {name: part.bfloat16() for name, part in parts(profile).items()}
    words = tokenizer(folder / "words")
    pipeline: DiffusionPipeline
    if profile == "sd15":
        pipeline = StableDiffusionPipeline(
            **models,
            tokenizer=words,
            scheduler=PNDMScheduler(skip_prk_steps=True, **NOISE),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    else:
        pipeline = StableDiffusionXLPipeline(
            **models, tokenizer=words, tokenizer_2=words, scheduler=EulerDiscreteScheduler(**NOISE)
        )
    pipeline.save_pretrained(folder / profile)
    return folder / profile


def save_clip(folder: Path) -> dict:
    """Save a CLIP; returns the fields of `prompts.clip`."""
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), folder / "clip.pt")
    return {"model": "ViT-B-32", "pretrained": str(folder / "clip.pt")}
