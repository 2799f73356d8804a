"""What is wrong with generated images: faults of single ones, and a model that spoils too many."""

from collections import Counter
from collections.abc import Sequence

from synaug.backends.protocols import Generated
from synaug.errors import ModelError

BLACK = 4  # of 255: darker than this everywhere: a failed decoder or a checker's blank, not a night scene
FIRST = 64  # images of a part that are looked at
SHARE = 0.2  # most rejects among them
FEWEST = 4  # rejects below this say nothing, however small the part

OVERFLOW = {
    "float16": "the VAE or the denoiser overflows in float16: set images.dtype=bfloat16 or float32",
    "bfloat16": "the VAE or the denoiser overflows in bfloat16: set images.dtype=float32",
    "float32": "the weights are broken, for float32 does not overflow: give another images.model or images.revision",
}
FLAGGED = "the safety checker refuses these prompts: read the prompts files, or set images.safety_checker=false"


def find_faults(generated: Generated) -> list[str | None]:
    """Find what is wrong with each image: `not finite`, `flagged` (which may be blanked), `black`, or None."""
    brightest = generated.pixels.flatten(1).amax(1)
    return [
        "not finite" if not finite else "flagged" if flagged else "black" if bright < BLACK else None
        for finite, flagged, bright in zip(generated.finite, generated.flagged, brightest.tolist(), strict=True)
    ]


class RejectRateGuard:
    """Stops a part early when the model, not chance, spoils its images.

    dtype: of the denoiser. images: of the part.
    """

    def __init__(self, dtype: str, images: int):
        self._dtype, self._looked_at = dtype, min(FIRST, images)
        self._seen, self._reasons = 0, Counter[str]()

    def see(self, faults: Sequence[str | None]) -> None:
        """Count the faults of the next images.

        Raises ModelError with the likely cause above SHARE of the first FIRST.
        """
        for fault in faults[: max(0, self._looked_at - self._seen)]:
            self._seen += 1
            self._reasons.update([fault] if fault else [])
        rejected = self._reasons.total()
        if rejected >= FEWEST and rejected > SHARE * self._looked_at:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
            cause = FLAGGED if self._reasons.most_common(1)[0][0] == "flagged" else OVERFLOW[self._dtype]
            raise ModelError(
                f"{rejected} of a part's first {self._seen} images were rejected ({reasons}), more than {SHARE:.0%} of "
                f"{self._looked_at}; likely {cause}"
            )
