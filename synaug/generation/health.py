"""Stops a part early when the model, not chance, spoils its images."""

from collections import Counter

from synaug import profiles
from synaug.config import Config
from synaug.errors import ModelError

FIRST = 64  # images of a part that are looked at
SHARE = 0.2  # most rejects among them
FEWEST = 4  # rejects below this say nothing, however small the part

CAUSES = {
    "not finite": "the denoiser or its VAE overflows in {dtype}: set images.dtype=bfloat16 or float32",
    "black": "the VAE overflows in {dtype} or a checker blanks them: set images.dtype=float32, or look at `synaug show`",
    "flagged": "the safety checker refuses these prompts: read them, or set images.safety_checker=false",
}


class Health:
    def __init__(self, config: Config, images: int):
        self._config, self._looked_at = config, min(FIRST, images)
        self._seen, self._reasons = 0, Counter()

    def see(self, faults: list[str | None]) -> None:
        """The faults of the next images. Raises ModelError with the likely cause above SHARE of the first FIRST."""
        for fault in faults[: max(0, self._looked_at - self._seen)]:
            self._seen += 1
            self._reasons.update([fault] if fault else [])
        rejected = self._reasons.total()
        if rejected >= FEWEST and rejected > SHARE * self._looked_at:
            reason, count = self._reasons.most_common(1)[0]
            images = self._config.images
            dtype = profiles.find(images.profile).dtype if images.dtype == "auto" else images.dtype
            raise ModelError(
                f"{rejected} of a part's first {self._seen} images were rejected ({count} {reason}), {SHARE:.0%} of {self._looked_at} may be; "
                f"likely {CAUSES[reason].format(dtype=dtype)}"
            )
