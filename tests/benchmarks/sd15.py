"""Stable Diffusion 1.5's classes and sizes with random weights, and a CLIP ViT-B/32: speed does not depend on weights."""

from pathlib import Path

import torch

from tests.tiny_diffusion import tokenizer


def parts() -> dict:
    """As the configuration files of stable-diffusion-v1-5 have them."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768,
        max_position_embeddings=77,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2, latent_channels=4, sample_size=512,
    )  # fmt: skip
    return {"unet": UNet2DConditionModel(sample_size=64, cross_attention_dim=768), "vae": vae, "text_encoder": CLIPTextModel(text)}


def save(folder: Path) -> tuple[Path, dict]:
    """The pipeline's folder, in bfloat16, and the fields of `prompts.clip`."""
    import open_clip
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    torch.manual_seed(0)
    scheduler = PNDMScheduler(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    StableDiffusionPipeline(
        **{name: part.bfloat16() for name, part in parts().items()}, tokenizer=tokenizer(folder / "words"), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "sd15")  # fmt: skip
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), folder / "clip.pt")
    return folder / "sd15", {"model": "ViT-B-32", "pretrained": str(folder / "clip.pt")}
