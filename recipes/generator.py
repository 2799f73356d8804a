"""Train the embedded diffusion model: python -m recipes.generator --out FOLDER

A UNet2DConditionModel on 12x16x16 (2x2 pixels unshuffled into channels, no VAE), conditioned on a sentence embedding,
trained by flow matching (x_t = (1-t) x + t eps, target eps - x) on the first 50,000 training photos of Fashion-MNIST.
Resumes from FOLDER/checkpoint.pt. Writes unet/, scheduler/ in diffusers layout and metrics.json. What ships is in
synaug/embedded/data/generator.
"""

import argparse
import json
import os
import time
from pathlib import Path

# Page faults of freed and re-mapped activations eat CPU otherwise; glibc reads these at start, so re-execute once.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "536870912",
}

STEPS, BATCH, LR, WARMUP, FLAT, PLAIN, DROPOUT, EMA = 15000, 64, 6e-4, 100, 0.3, 0.6, 0.1, 0.9993
CAPTIONS_PER_CLASS = 3000
PLAIN_CAPTIONS = (
    "a photo of {}",
    "a photo of {}",
    "a photo of {}, on a plain black background",
    "a picture of {}",
    "a product photo of {}",
    "{}",
)
UNET = dict(
    sample_size=16,
    in_channels=12,
    out_channels=12,
    block_out_channels=(48, 96, 192),
    layers_per_block=1,
    down_block_types=("DownBlock2D",) * 3,
    up_block_types=("UpBlock2D",) * 3,
    mid_block_type="UNetMidBlock2D",
    norm_num_groups=16,
    attention_head_dim=32,
    class_embed_type="projection",
    projection_class_embeddings_input_dim=384,
    cross_attention_dim=384,
    resnet_time_scale_shift="scale_shift",
)


def caption_bank(rng):
    """Write contexts with their captions, by class, and the plain captions; one list of texts to embed."""
    from recipes.contexts import captioned, with_article
    from recipes.fashion import NAMES

    texts = [""]  # row 0: the dropped condition
    plain = {}
    for label, name in enumerate(NAMES):
        plain[label] = list(range(len(texts), len(texts) + len(PLAIN_CAPTIONS)))
        texts += [template.format(with_article(name)) for template in PLAIN_CAPTIONS]
    contexts = captioned(NAMES, CAPTIONS_PER_CLASS, texts, rng)
    return texts, plain, contexts


def main():
    import numpy as np
    import torch
    import torch.nn.functional as F
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    from recipes import fashion
    from recipes.contexts import draw
    from synaug.embedded.minilm import SentenceEncoder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--keep", type=int, help="also write the averaged weights every so many steps, to FOLDER/STEP")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    texts, plain, contexts = caption_bank(rng)
    embeddings = SentenceEncoder().encode(texts) * 384**0.5
    photos, labels = fashion.read("train")
    photos, labels = fashion.pad(photos[:50000]), labels[:50000]
    print(f"{len(texts)} captions, {len(photos)} photos", flush=True)

    def batch():
        picked = rng.integers(0, len(photos), BATCH)
        images, rows = np.empty((BATCH, 32, 32, 3), np.float32), np.empty(BATCH, np.int64)
        for i, index in enumerate(picked):
            label, photo = int(labels[index]), photos[index] / 255.0
            if rng.random() < 0.5:
                photo = photo[:, ::-1]
            if rng.random() < PLAIN:
                images[i], rows[i] = photo[..., None], rng.choice(plain[label])
            else:
                rows[i], context = contexts[label][rng.integers(CAPTIONS_PER_CLASS)]
                images[i] = draw(photo, context, rng)
        rows[rng.random(BATCH) < DROPOUT] = 0
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1
        return F.pixel_unshuffle(pixels, 2), embeddings[rows]

    model = UNet2DConditionModel(**UNET)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.999), weight_decay=0.01)

    def rate(step):
        done = step / args.steps
        decay = 1.0 if done < FLAT else 0.5 * (1 + np.cos(np.pi * (done - FLAT) / (1 - FLAT)))
        return LR * min(1.0, (step + 1) / WARMUP) * decay

    def export(folder):
        averaged = UNet2DConditionModel(**UNET)
        averaged.load_state_dict(average)
        averaged.to(torch.bfloat16).save_pretrained(folder / "unet")
        DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, solver_order=2
        ).save_pretrained(folder / "scheduler")

    first, losses, checkpoint = 0, [], args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"])
        average, first, losses = saved["average"], saved["step"], saved["losses"]
        rng.bit_generator.state = saved["rng"]
        torch.set_rng_state(saved["torch_rng"])
    start, zeros = time.monotonic(), torch.zeros(BATCH, 1, 384)
    for step in range(first, args.steps):
        x, condition = batch()
        t = torch.sigmoid(torch.randn(BATCH))
        noise = torch.randn_like(x)
        noisy = (1 - t[:, None, None, None]) * x + t[:, None, None, None] * noise
        with torch.autocast("cpu", torch.bfloat16):
            output = model(noisy, 1000 * t, zeros, class_labels=condition).sample
        loss = F.mse_loss(output.float(), noise - x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        decay = min(EMA, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - decay)
        losses.append(float(loss.detach()))
        if step % 100 == 99:
            per_step = (time.monotonic() - start) / (step + 1 - first)
            print(f"step {step + 1} loss {np.mean(losses[-100:]):.4f} {per_step:.3f} s/step", flush=True)
        if step % 250 == 249 or step + 1 == args.steps:
            state = dict(
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
                average=average,
                step=step + 1,
                losses=losses,
                rng=rng.bit_generator.state,
                torch_rng=torch.get_rng_state(),
            )
            torch.save(state, checkpoint.with_suffix(".tmp"))
            os.replace(checkpoint.with_suffix(".tmp"), checkpoint)
        if args.keep and (step + 1) % args.keep == 0:
            export(args.out / str(step + 1))

    export(args.out)
    summary = {
        "steps": args.steps,
        "loss_last_500": round(float(np.mean(losses[-500:])), 4),
        "torch": torch.__version__,
    }
    (args.out / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        import sys

        os.execve(sys.executable, [sys.executable, "-m", "recipes.generator", *sys.argv[1:]], os.environ | ALLOCATOR)
    main()
