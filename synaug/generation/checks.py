"""What is wrong with a decoded image, seen on the float tensor before any conversion could hide it."""

import torch

BLACK = 4 / 255  # darker than this everywhere: a failed decoder or a checker's blank, not a night scene


def faults(pixels: torch.Tensor, flagged: list[bool]) -> list[str | None]:
    """pixels: (n, 3, H, W) nominally in [0, 1]. A reason (`not finite`, `black`, `flagged`) or None for each image."""
    flat = pixels.flatten(1)
    finite = flat.isfinite().all(1)
    brightest = flat.nan_to_num().amax(1)
    return [
        "not finite" if not finite[n] else "black" if brightest[n] < BLACK else "flagged" if flagged[n] else None
        for n in range(len(pixels))
    ]
