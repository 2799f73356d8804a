"""Text-to-image pipelines of diffusers' real classes with random weights, small enough for a test: `build`, `save`."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, LCMScheduler
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def qwen_tokenizer(length: int = 512):
    vocabulary = {c: n for n, c in enumerate(ALPHABET)}
    for special in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"):
        vocabulary[special] = len(vocabulary)
    own = ["<|im_start|>", "<|im_end|>"]
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=[], model_max_length=length, additional_special_tokens=own
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def clip_tokenizer(length: int = 77):
    vocabulary: dict[str, int] = {}
    for token in ("<|startoftext|>", "<|endoftext|>", *ALPHABET, *(c + "</w>" for c in ALPHABET)):
        vocabulary[token] = len(vocabulary)
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=length)


def t5_tokenizer(length: int = 128):
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(c, -3.0) for c in string.printable if not c.isspace()]
    pieces += [(f"<extra_id_{n}>", 0.0) for n in range(99, -1, -1)]
    return transformers.T5Tokenizer(vocab=pieces, model_max_length=length)


def gemma_tokenizer(length: int = 300):
    vocabulary = {token: n for n, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])}
    for token in [f"<0x{n:02X}>" for n in range(256)] + ["▁"] + [c for c in string.printable if not c.isspace()]:
        vocabulary[token] = len(vocabulary)
    tokenizer = transformers.GemmaTokenizer(vocab=vocabulary, merges=[], model_max_length=length)
    tokenizer.padding_side = "right"
    return tokenizer


def bytes_tokenizer(length: int = 128):
    vocabulary = {c: n for n, c in enumerate(ALPHABET)} | {"<|endoftext|>": 256}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=end, model_max_length=length
    )


def clip_text(*, projection: bool = False, length: int = 77):
    config = transformers.CLIPTextConfig(
        vocab_size=600, hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2,
        max_position_embeddings=length, projection_dim=32, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        hidden_act="gelu" if projection else "quick_gelu",
    )  # fmt: skip
    return (transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel)(config).eval()


def t5_encoder():
    config = transformers.T5Config(vocab_size=300, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return transformers.T5EncoderModel(config).eval()


def qwen_vl(size: int, sections: list[int]):
    own = {
        "hidden_size": size, "intermediate_size": size, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_theta": 1e6, "vocab_size": 300,
        "rope_scaling": {"mrope_section": sections, "rope_type": "default", "type": "default"},
    }  # fmt: skip
    vision = {"depth": 2, "hidden_size": size, "intermediate_size": size, "num_heads": 2, "out_hidden_size": size}
    config = transformers.Qwen2_5_VLConfig(
        text_config=own, vision_config=vision, hidden_size=size, vocab_size=300, vision_end_token_id=1,
        vision_start_token_id=2, vision_token_id=3,
    )  # fmt: skip
    return transformers.Qwen2_5_VLForConditionalGeneration(config).eval()


def qwen3(layers: int, cls: str = "Qwen3Model"):
    config = transformers.Qwen3Config(
        hidden_size=16, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=300, max_position_embeddings=1024, head_dim=8,
    )  # fmt: skip
    return getattr(transformers, cls)(config).eval()


def vae(latents: int = 4, **own):
    return diffusers.AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=["DownEncoderBlock2D"] * 2, latent_channels=latents,
        up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=8, sample_size=32, **own,
    ).eval()  # fmt: skip


PLAIN = {"use_quant_conv": False, "use_post_quant_conv": False}


def unet(cross: int = 32, **own):
    settings: dict[str, Any] = {
        "block_out_channels": (32, 64), "layers_per_block": 1, "sample_size": 16, "cross_attention_dim": cross,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "attention_head_dim": 8,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**settings | own)


def stable_diffusion():
    return diffusers.StableDiffusionPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=unet(),
        scheduler=DPMSolverMultistepScheduler(use_karras_sigmas=True), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def latent_consistency():
    return diffusers.LatentConsistencyModelPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=unet(time_cond_proj_dim=32),
        scheduler=LCMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl():
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(), text_encoder=clip_text(), text_encoder_2=clip_text(projection=True), tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(), scheduler=EulerDiscreteScheduler(),
        unet=unet(64, attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
                  addition_time_embed_dim=8, transformer_layers_per_block=(1, 1),
                  projection_class_embeddings_input_dim=6 * 8 + 32),
    )  # fmt: skip


def stable_diffusion_3():
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32, patch_size=1, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=64, out_channels=4,
        pos_embed_max_size=96,
    )  # fmt: skip
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.0, **PLAIN),
        text_encoder=clip_text(projection=True), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text(projection=True), tokenizer_2=clip_tokenizer(), text_encoder_3=t5_encoder(),
        tokenizer_3=t5_tokenizer(),
    )  # fmt: skip


def flux():
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8], guidance_embeds=True,
    )  # fmt: skip
    return diffusers.FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), vae=vae(1, shift_factor=0.0, **PLAIN),
        text_encoder=clip_text(), tokenizer=clip_tokenizer(), text_encoder_2=t5_encoder(), tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )  # fmt: skip


def flux2_klein():
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=[4, 4, 4, 4], guidance_embeds=False,
    )  # fmt: skip
    own = diffusers.AutoencoderKLFlux2(
        sample_size=32, down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,), layers_per_block=1, latent_channels=1, norm_num_groups=1, **PLAIN,
    ).eval()  # fmt: skip
    return diffusers.Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=own, text_encoder=qwen3(28, "Qwen3ForCausalLM"),
        tokenizer=qwen_tokenizer(), transformer=transformer,
    )  # fmt: skip


def pixart_sigma():
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True, activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000, norm_type="ada_norm_single", norm_elementwise_affine=False, norm_eps=1e-6,
        use_additional_conditions=False,
    )  # fmt: skip
    return diffusers.PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(300),
        text_encoder=t5_encoder(),
        vae=vae(),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
    )


def _sana_parts(**own):
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8,
        sample_size=32, **own,
    )  # fmt: skip
    deep = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=[1, 1], downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip
    encoder = transformers.Gemma2Model(
        transformers.Gemma2Config(head_dim=16, hidden_size=8, intermediate_size=64, num_attention_heads=2,
                                  num_hidden_layers=1, num_key_value_heads=2, vocab_size=400)
    ).eval()  # fmt: skip
    return {"tokenizer": gemma_tokenizer(), "text_encoder": encoder, "vae": deep, "transformer": transformer}


def sana():
    return diffusers.SanaPipeline(**_sana_parts(), scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0))


def sana_sprint():
    parts = _sana_parts(guidance_embeds=True, qk_norm="rms_norm_across_heads")
    return diffusers.SanaSprintPipeline(**parts, scheduler=diffusers.SCMScheduler())


def lumina2():
    transformer = diffusers.Lumina2Transformer2DModel(
        sample_size=4, patch_size=2, in_channels=4, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=3, num_kv_heads=1, multiple_of=2, ffn_dim_multiplier=None, norm_eps=1e-5,
        scaling_factor=1.0, axes_dim_rope=[4, 2, 2], axes_lens=[512, 64, 64], cap_feat_dim=8,
    )  # fmt: skip
    encoder = transformers.Gemma2Model(
        transformers.Gemma2Config(head_dim=4, hidden_size=8, intermediate_size=8, num_attention_heads=2,
                                  num_hidden_layers=2, num_key_value_heads=2, vocab_size=400)
    ).eval()  # fmt: skip
    return diffusers.Lumina2Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=encoder,
        vae=vae(scaling_factor=0.3, shift_factor=0.1, **PLAIN), tokenizer=gemma_tokenizer(256),
    )  # fmt: skip


def z_image():
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, norm_eps=1e-5, qk_norm=True, cap_feat_dim=16, rope_theta=256.0, t_scale=1000.0,
        axes_dims=[8, 4, 4], axes_lens=[1024, 128, 128],
    )  # fmt: skip
    return diffusers.ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(16, scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=qwen3(2),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    )


def qwen_image():
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=3,
        joint_attention_dim=16, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    video = diffusers.AutoencoderKLQwenImage(
        base_dim=24, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return diffusers.QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=video, text_encoder=qwen_vl(16, [1, 1, 2]),
        tokenizer=qwen_tokenizer(1024), transformer=transformer,
    )  # fmt: skip


def chroma():
    transformer = diffusers.ChromaTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=[4, 4, 8], approximator_hidden_dim=32, approximator_layers=1,
        approximator_num_channels=16,
    )  # fmt: skip
    return diffusers.ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(1, shift_factor=0.0, **PLAIN),
        text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(512),
        transformer=transformer,
    )


def hidream():
    transformer = diffusers.HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_channels=[32, 16], text_emb_dim=64, num_routed_experts=4,
        num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(32, 32), llama_layers=(0, 1),
    )  # fmt: skip
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
                                 num_attention_heads=2, output_hidden_states=True, max_position_embeddings=512)
    ).eval()  # fmt: skip
    return diffusers.HiDreamImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(scaling_factor=0.36, shift_factor=0.1, **PLAIN),
        text_encoder=clip_text(projection=True, length=128), tokenizer=clip_tokenizer(128),
        text_encoder_2=clip_text(projection=True, length=128), tokenizer_2=clip_tokenizer(128),
        text_encoder_3=t5_encoder(), tokenizer_3=t5_tokenizer(), text_encoder_4=llama, tokenizer_4=bytes_tokenizer(),
        transformer=transformer,
    )  # fmt: skip


def cogview4():
    transformer = diffusers.CogView4Transformer2DModel(
        patch_size=2, in_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=4, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=4,
    )  # fmt: skip
    encoder = transformers.GlmModel(
        transformers.GlmConfig(hidden_size=32, intermediate_size=8, num_hidden_layers=2, num_attention_heads=4,
                               num_key_value_heads=4, head_dim=8, vocab_size=300, pad_token_id=256)
    ).eval()  # fmt: skip
    tokenizer = qwen_tokenizer(1024)
    start = ("<|im_start|>", tokenizer.convert_tokens_to_ids("<|im_start|>"))
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[start]
    )
    scheduler = FlowMatchEulerDiscreteScheduler(
        base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True, time_shift_type="linear"
    )
    return diffusers.CogView4Pipeline(
        tokenizer=tokenizer, text_encoder=encoder, vae=vae(), transformer=transformer, scheduler=scheduler
    )


def aura_flow():
    transformer = diffusers.AuraFlowTransformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32, out_channels=4,
        pos_embed_max_size=256,
    )  # fmt: skip
    encoder = transformers.UMT5EncoderModel(
        transformers.UMT5Config(vocab_size=300, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    ).eval()
    return diffusers.AuraFlowPipeline(
        tokenizer=t5_tokenizer(), text_encoder=encoder, vae=vae(), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def hunyuan_image():
    transformer = diffusers.HunyuanImageTransformer2DModel(
        in_channels=4, out_channels=4, num_attention_heads=4, attention_head_dim=8, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, patch_size=(1, 1), guidance_embeds=False, text_embed_dim=32, text_embed_2_dim=32,
        rope_axes_dim=(4, 4),
    )  # fmt: skip
    own = diffusers.AutoencoderKLHunyuanImage(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(32, 64, 64, 64), layers_per_block=1,
        scaling_factor=0.476986, spatial_compression_ratio=8, sample_size=128,
    )  # fmt: skip
    second = transformers.T5EncoderModel(
        transformers.T5Config(d_model=32, d_kv=4, d_ff=16, num_layers=2, num_heads=2, vocab_size=384)
    ).eval()
    guiders = {
        "guider": diffusers.AdaptiveProjectedMixGuidance(adaptive_projected_guidance_start_step=2),
        "ocr_guider": diffusers.AdaptiveProjectedMixGuidance(adaptive_projected_guidance_start_step=3),
    }
    return diffusers.HunyuanImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), vae=own, text_encoder=qwen_vl(32, [2, 2, 4]),
        tokenizer=qwen_tokenizer(1100), text_encoder_2=second, tokenizer_2=transformers.ByT5Tokenizer(),
        transformer=transformer, **guiders,
    )  # fmt: skip


TINY: dict[str, Callable[[], Any]] = {
    builder.__name__: builder
    for builder in (
        stable_diffusion, latent_consistency, stable_diffusion_xl, stable_diffusion_3, flux, flux2_klein, pixart_sigma,
        sana, sana_sprint, lumina2, z_image, qwen_image, chroma, hidream, cogview4, aura_flow, hunyuan_image,
    )
}  # fmt: skip


def build(name: str, *, seed: int = 0) -> Any:
    """Build a pipeline; equal seeds give equal weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TINY[name]()


def save(name: str, folder: Path, *, seed: int = 0) -> Path:
    """Save a pipeline in diffusers' layout, and return its folder."""
    build(name, seed=seed).save_pretrained(folder / name)
    return folder / name


def class_of(folder: str | Path) -> str:
    """Read the pipeline class of a saved pipeline."""
    return json.loads((Path(folder) / "model_index.json").read_text())["_class_name"]
