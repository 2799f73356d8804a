"""One part: every image generated, checked, tried again where it failed; published as a tar and its manifest."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synaug import telemetry
from synaug.backends.memory import free_memory
from synaug.backends.profiles import resolve_sampling
from synaug.backends.protocols import CLIP, Diffusion, Generated
from synaug.config import Config
from synaug.data import layout
from synaug.data.manifest import Manifest, Reject
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.errors import UsageError, is_out_of_memory
from synaug.generation.background import BackgroundPool, Stopwatch, start_threads
from synaug.generation.batching import GenerationBatch, ImageRequest, cut_batches, cut_windows, unique_prompts
from synaug.generation.postprocess import BatchPostprocessor, EncodedPrompts, FinishedBatch
from synaug.generation.publish import publish
from synaug.generation.quality import RejectRateGuard
from synaug.prompts.compose import compose
from synaug.prompts.schema import load_prompts
from synaug.run.plan import Plan
from synaug.run.quotas import Part
from synaug.run.stages import STAGES


@dataclass(frozen=True)
class PartRequest:
    """A part's images with their prompts, from the prompts files as they are now."""

    part: Part
    images: list[ImageRequest]
    prompts_sha256: dict[str, str]


def request_part(store: Store, run: str, config: Config, plan: Plan, part: Part) -> PartRequest:
    """Compose the prompts of a part's images. Raises DataError for a prompts file that is missing or does not parse."""
    sampling, labels = resolve_sampling(config.images), plan.labels
    loaded = {class_id: load_prompts(store, run, class_id) for class_id in sorted({c for c, _ in part.images})}
    images = []
    for class_id, index in part.images:
        prompts = loaded[class_id].prompts
        prompt = compose(config, plan, prompts, index)
        guidance = sampling.guidance_of(prompt.kind)
        images.append(ImageRequest(class_id, index, labels[class_id], prompt, guidance, prompts.chosen))
    return PartRequest(part, images, {class_id: prompts.sha256 for class_id, prompts in loaded.items()})


class PartMaker:
    """Makes parts one after another; `close` waits for the last upload.

    done: called with the number of good and of rejected images of each finished batch. threads: of the work beside the
    model.
    """

    def __init__(
        self,
        *,
        store: Store,
        run: str,
        config: Config,
        plan: Plan,
        diffusion: Diffusion,
        clip: CLIP,
        versions: dict[str, str],
        threads: int,
        done: Callable[[int, int], None] = lambda good, rejected: None,
    ):
        self.store, self.run, self.config, self.plan = store, run, config, plan
        self.versions, self.done = versions, done
        self.diffusion, self.batch_size = diffusion, config.images.batch_size
        self.stopwatch = Stopwatch()
        self.postprocessor = BatchPostprocessor(config, diffusion.info, clip, self.stopwatch)
        self.background = BackgroundPool(
            threads=threads, torch_threads=config.threads, ahead=threads + 1, stopwatch=self.stopwatch
        )
        self._text_encoder = start_threads(1, "texts", config.threads)
        self._publisher = ThreadPoolExecutor(1, "publisher")
        self._upload: Future | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="synaug-images-")

    def make(self, request: PartRequest) -> None:
        """Make a part; it restarts at half the batch size when memory runs out, and stays there.

        Raises UsageError when one image is too much, ModelError when too many are rejected.
        """
        while True:
            try:
                self._publish(*self._generate(request))
                return
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise UsageError(
                        f"out of memory with one image of {self.diffusion.info.name} in a batch; to do with less: "
                        f"{STAGES['images'].needs_less}"
                    ) from error
            self._drain()
            self.batch_size //= 2
            free_memory()

    def _drain(self) -> None:
        """Drop what is under way of a part that begins again; its threads may run out of memory, too."""
        while True:
            try:
                for _ in self.background.rest():
                    pass
                return
            except Exception as error:
                if not is_out_of_memory(error):
                    raise

    def close(self) -> None:
        """Wait for the last upload and end the threads. Raises what the upload raised."""
        try:
            if self._upload:
                self._upload.result()
        finally:
            self.background.close()
            self._text_encoder.shutdown(cancel_futures=True)
            self._publisher.shutdown()
            self._folder.cleanup()

    def _generate(self, request: PartRequest) -> tuple[Path, Manifest]:
        part = request.part
        path = Path(self._folder.name) / f"{part.multiple}-{part.shard}-{part.number}.tar"
        columns: dict[str, list] = {"class_id": [], "kind": [], "clip_score": [], "attempt": []}
        rejects: list[Reject] = []
        guard = RejectRateGuard(self.diffusion.dtype, len(request.images))
        todo, truncated = request.images, 0
        with TarWriter(path) as writer:
            for attempt in range(self.config.images.max_attempts):
                failed = []
                for finished in self._finish_batches(todo):
                    truncated += finished.truncated if attempt == 0 else 0
                    for image in finished.accepted:
                        key, label, text = image.request.key, image.request.label, image.request.prompt.text
                        writer.add(key, image.jpeg, label, text=text, metadata=image.metadata)
                        columns["class_id"].append(image.request.class_id)
                        columns["kind"].append(image.request.prompt.kind)
                        columns["clip_score"].append(image.clip_score)
                        columns["attempt"].append(attempt)
                    for reject in finished.rejected:
                        rejects.append(Reject(key=reject.request.key, attempt=attempt, reason=reject.reason))
                        failed.append(replace(reject.request, attempt=attempt + 1))
                    if attempt == 0:
                        guard.see(finished.faults)
                    telemetry.images(len(finished.accepted), [reject.reason for reject in finished.rejected])
                    self.done(len(finished.accepted), len(finished.rejected))
                todo = failed
                if not todo:
                    break
            table = writer.close()
        info = self.diffusion.info
        manifest = Manifest(
            tar=layout.synthetic_tar(self.run, part.multiple, part.shard, part.number),
            **table,
            **columns,
            rejects=rejects,
            lost=[image.key for image in todo],
            truncated_prompts=truncated,
            batch_size=self.batch_size,
            threads=self.config.threads,
            prompts_sha256=request.prompts_sha256,
            model=f"{info.name}@{info.revision}",
            versions=self.versions,
        )
        return path, manifest

    def _finish_batches(self, images: list[ImageRequest]) -> Iterator[FinishedBatch]:
        """The images' batches in order, each generated here and finished beside the model."""
        for batch, prompts in self._encode_ahead(cut_batches(images, self.batch_size)):
            generated = generate_batch(self.diffusion, self.config, batch, prompts.encoded)
            yield from self.background.submit(self.postprocessor.finish, batch, generated, prompts)
        yield from self.background.rest()

    def _encode_ahead(self, batches: list[GenerationBatch]) -> Iterator[tuple[GenerationBatch, EncodedPrompts]]:
        """Each batch with its window's prompts, the next window's under way."""
        windows = cut_windows(batches)
        ahead = self._text_encoder.submit(self._encode_prompts, windows[0])
        for n, window in enumerate(windows):
            with self.stopwatch.phase("wait"):
                prompts = ahead.result()
            if n + 1 < len(windows):
                ahead = self._text_encoder.submit(self._encode_prompts, windows[n + 1])
            for batch in window:
                yield batch, prompts

    def _encode_prompts(self, window: list[GenerationBatch]) -> EncodedPrompts:
        texts = unique_prompts(window)
        encoded, truncated = self.diffusion.encode(texts), self.diffusion.find_truncated(texts)
        return EncodedPrompts(encoded, truncated, self.postprocessor.embed_texts(texts))

    def _publish(self, path: Path, manifest: Manifest) -> None:
        if self._upload:
            self._upload.result()
        self._upload = self._publisher.submit(self._put, path, manifest)

    def _put(self, path: Path, manifest: Manifest) -> None:
        with self.stopwatch.phase("upload"):
            publish(self.store, path, manifest)
        path.unlink()


def generate_batch(diffusion: Diffusion, config: Config, batch: GenerationBatch, encoded: Any) -> Generated:
    """Generate a batch with its padding. encoded: of `diffusion.encode`, with all of the batch's prompts."""
    images = batch.padded
    return diffusion.generate(
        [image.prompt.text for image in images],
        [image.seed(config) for image in images],
        guidance_scale=[batch.guidance_scale] * batch.size,
        encoded=encoded,
    )
