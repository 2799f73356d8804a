"""One part: every image of it generated, checked, tried again where it failed, and published as a tar and its manifest."""

import gc
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synaug import telemetry
from synaug.backends.profiles import sampling
from synaug.backends.protocols import CLIP, Diffusion
from synaug.config import Config
from synaug.data import layout
from synaug.data.manifest import Manifest, Reject
from synaug.data.store import Store
from synaug.data.webdataset import TarWriter
from synaug.errors import ModelError
from synaug.generation.background import BackgroundPool, Stopwatch, _set_torch_threads
from synaug.generation.batching import GenerationBatch, ImageRequest, batches, windows
from synaug.generation.health import RejectRateGuard
from synaug.generation.postprocess import BatchPostprocessor, EncodedPrompts, Finished
from synaug.generation.publish import publish
from synaug.prompts.compose import compose, load_prompts
from synaug.run.plan import Plan
from synaug.run.quotas import Part


@dataclass(frozen=True)
class PartRequest:
    """A part's images with their prompts, from the prompts files as they are now."""

    part: Part
    images: list[ImageRequest]
    prompts_sha256: dict[str, str]


def recipe(store: Store, run: str, config: Config, plan: Plan, part: Part) -> PartRequest:
    settings, labels = sampling(config.images), plan.labels
    loaded = {
        class_id: load_prompts(store, run, class_id) for class_id in sorted({class_id for class_id, _ in part.images})
    }
    images = []
    for class_id, index in part.images:
        made = loaded[class_id][0]
        prompt = compose(config, plan, made, index)
        images.append(
            ImageRequest(class_id, index, labels[class_id], prompt, settings.guidance_of(prompt.kind), made.chosen)
        )
    return PartRequest(part, images, {class_id: digest for class_id, (_, digest) in loaded.items()})


class PartMaker:
    """Makes parts one after another; `close` waits for the last upload.

    done: called with the number of good and of rejected images of each finished batch. threads: of the work beside the model.
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
        self.store, self.run, self.config, self.plan, self.versions, self.done = (
            store,
            run,
            config,
            plan,
            versions,
            done,
        )
        self.diffusion, self.batch_size = diffusion, config.images.batch_size
        self.stopwatch = Stopwatch()
        self.finisher = BatchPostprocessor(config, diffusion.info, clip, self.stopwatch)
        self._beside = BackgroundPool(
            threads=threads, torch_threads=config.threads, ahead=threads + 1, stopwatch=self.stopwatch
        )
        self._texts = ThreadPoolExecutor(1, "texts", initializer=_set_torch_threads, initargs=(config.threads,))
        self._publisher = ThreadPoolExecutor(1, "publisher")
        self._upload: Future | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="synaug-images-")

    def make(self, recipe: PartRequest) -> None:
        """Restarts at half the batch size when memory runs out, and stays there.

        Raises ModelError when one image is too much, or when too many are rejected.
        """
        while True:
            try:
                self._publish(*self._generate(recipe))
                return
            except torch.OutOfMemoryError as error:
                if self.batch_size == 1:
                    name = self.diffusion.info.name
                    raise ModelError(
                        f"out of memory with one image of {name} in a batch; use a smaller model or size"
                    ) from error
            list(self._beside.rest())
            self.batch_size //= 2
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def close(self) -> None:
        """Raises what the last upload raised."""
        try:
            if self._upload:
                self._upload.result()
        finally:
            self._beside.close()
            self._texts.shutdown(cancel_futures=True)
            self._publisher.shutdown()
            self._folder.cleanup()

    def _generate(self, recipe: PartRequest) -> tuple[Path, Manifest]:
        part = recipe.part
        path = Path(self._folder.name) / f"{part.multiple}-{part.shard}-{part.number}.tar"
        columns: dict[str, list] = {"class_id": [], "kind": [], "clip_score": [], "attempt": []}
        rejects: list[Reject] = []
        health = RejectRateGuard(self.diffusion.dtype, len(recipe.images))
        todo, truncated = recipe.images, 0
        with TarWriter(path) as writer:
            for attempt in range(self.config.images.max_attempts):
                failed = []
                for finished in self._finished(todo):
                    truncated += finished.truncated if attempt == 0 else 0
                    for image, fault, sample in finished.rows():
                        if fault:
                            rejects.append(Reject(key=image.key, attempt=attempt, reason=fault))
                            failed.append(replace(image, attempt=attempt + 1))
                            continue
                        writer.add(
                            image.key, sample.jpeg, image.label, text=image.prompt.text, metadata=sample.metadata
                        )
                        for name, value in zip(
                            columns, (image.class_id, image.prompt.kind, sample.clip_score, attempt), strict=True
                        ):
                            columns[name].append(value)
                    if attempt == 0:
                        health.see(finished.faults)
                    faults = [fault for fault in finished.faults if fault is not None]
                    telemetry.images(len(finished.samples), faults)
                    self.done(len(finished.samples), len(faults))
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
            prompts_sha256=recipe.prompts_sha256,
            model=f"{info.name}@{info.revision}",
            versions=self.versions,
        )
        return path, manifest

    def _finished(self, images: list[ImageRequest]) -> Iterator[Finished]:
        """The images' batches in order, each generated here and finished beside the model."""
        for batch, texts in self._texts_of(batches(images, self.batch_size)):
            generated = generate(self.diffusion, self.config, batch, texts.encoded)
            yield from self._beside.submit(self.finisher.finish, batch, generated, texts)
        yield from self._beside.rest()

    def _texts_of(self, todo: list[GenerationBatch]) -> Iterator[tuple[GenerationBatch, EncodedPrompts]]:
        """Each batch with its window's texts, the next window's under way."""
        cut = windows(todo)
        ahead = self._texts.submit(self._look_at, cut[0])
        for n, window in enumerate(cut):
            with self.stopwatch.phase("wait"):
                texts = ahead.result()
            if n + 1 < len(cut):
                ahead = self._texts.submit(self._look_at, cut[n + 1])
            for batch in window:
                yield batch, texts

    def _look_at(self, window: list[GenerationBatch]) -> EncodedPrompts:
        unique = texts_of(window)
        encoded, truncated = self.diffusion.encode(unique), self.diffusion.truncated(unique)
        return EncodedPrompts(encoded, truncated, self.finisher.embed_texts(unique))

    def _publish(self, path: Path, manifest: Manifest) -> None:
        if self._upload:
            self._upload.result()
        self._upload = self._publisher.submit(self._put, path, manifest)

    def _put(self, path: Path, manifest: Manifest) -> None:
        with self.stopwatch.phase("upload"):
            publish(self.store, path, manifest)
        path.unlink()


def texts_of(window: list[GenerationBatch]) -> list[str]:
    """The different prompts of a window of batches, encoded together: a window is cut from the part, so equal parts give equal bits."""
    return list(dict.fromkeys(image.prompt.text for batch in window for image in batch.images))


def generate(diffusion: Diffusion, config: Config, batch: GenerationBatch, encoded: object):
    images = batch.padded
    return diffusion.generate(
        [image.prompt.text for image in images],
        [image.seed(config) for image in images],
        guidance_scale=[batch.guidance_scale] * batch.size,
        encoded=encoded,
    )
