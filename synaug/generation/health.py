"""Stops a part early when the model, not chance, spoils its images."""

from collections import Counter

from synaug.errors import ModelError

FIRST = 64  # images of a part that are looked at
SHARE = 0.2  # most rejects among them
FEWEST = 4  # rejects below this say nothing, however small the part

OVERFLOW = {
    "float16": "the VAE or the denoiser overflows in float16: set images.dtype=bfloat16 or float32",
    "bfloat16": "the VAE or the denoiser overflows in bfloat16: set images.dtype=float32",
    "float32": "the weights are broken, for float32 does not overflow: give another images.model or images.revision",
}
FLAGGED = "the safety checker refuses these prompts: read the prompts files, or set images.safety_checker=false"


class RejectRateGuard:
    """dtype: of the denoiser. images: of the part."""

    def __init__(self, dtype: str, images: int):
        self._dtype, self._looked_at = dtype, min(FIRST, images)
        self._seen, self._reasons = 0, Counter()

    def see(self, faults: list[str | None]) -> None:
        """The faults of the next images. Raises ModelError with the likely cause above SHARE of the first FIRST."""
        for fault in faults[: max(0, self._looked_at - self._seen)]:
            self._seen += 1
            self._reasons.update([fault] if fault else [])
        rejected = self._reasons.total()
        if rejected >= FEWEST and rejected > SHARE * self._looked_at:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
            cause = FLAGGED if self._reasons.most_common(1)[0][0] == "flagged" else OVERFLOW[self._dtype]
            raise ModelError(
                f"{rejected} of a part's first {self._seen} images were rejected ({reasons}), more than {SHARE:.0%} of {self._looked_at}; "
                f"likely {cause}"
            )
