"""Random-weight pipelines of the true classes, small enough for a test: like SD 1.5 and SDXL, in diffusers layout."""

from pathlib import Path

import torch

WORDS = ("a", "photo", "of", "cat", "dog", "on", "the", "moon", "in", "snow", "painting")


def tokenizer(folder: Path):
    """A CLIP tokenizer that knows letters and WORDS, 77 tokens long as the real one."""
    import json

    from transformers import CLIPTokenizer

    letters = [chr(c) for c in range(97, 123)]
    vocabulary, merges = [*letters, *(c + "</w>" for c in letters)], []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merges.append(f"{pieces[0]} {pieces[1]}")
            pieces[:2] = ["".join(pieces[:2])]
            if pieces[0] not in vocabulary:
                vocabulary.append(pieces[0])
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]) + "\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def text_encoder(size: int, *, projection: bool = False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=200,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        max_position_embeddings=size,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=32,
    ).eval()


def unet(**extra):
    from diffusers import UNet2DConditionModel

    settings = dict(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    return UNet2DConditionModel(**settings | extra).eval()


def save_sd(folder: Path, *, seed: int = 0) -> Path:
    """An SD 1.5-shaped pipeline without a safety checker."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    torch.manual_seed(seed)
    StableDiffusionPipeline(
        vae=vae(),
        text_encoder=text_encoder(77),
        tokenizer=tokenizer(folder / "words"),
        unet=unet(),
        scheduler=PNDMScheduler(
            skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "sd")
    return folder / "sd"


def save_sdxl(folder: Path, *, seed: int = 0) -> Path:
    """An SDXL-shaped pipeline: two text encoders, pooled embeddings, size conditioning."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    torch.manual_seed(seed)
    words = tokenizer(folder / "words")
    StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=text_encoder(77),
        text_encoder_2=text_encoder(77, projection=True),
        tokenizer=words,
        tokenizer_2=words,
        unet=unet(
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=6 * 8 + 32,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
        ),
    ).save_pretrained(folder / "sdxl")
    return folder / "sdxl"
