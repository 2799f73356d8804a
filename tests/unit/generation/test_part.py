import hashlib
import io
import json
import tarfile
import threading

import pytest
import torch

from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.seeding import image_seed
from synaug.data.store import open_store
from synaug.errors import ModelError, UsageError
from synaug.generation.part import PartMaker, request_part
from tests.fakes import FakeCLIP, FakeDiffusion
from tests.images_run import images_job, put_prompts


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def make(job, diffusion=None, *, number=0, **arguments) -> Manifest:
    """Makes one part of x1 and returns its manifest."""
    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=job.config,
        plan=job.plan,
        diffusion=diffusion or FakeDiffusion(),
        versions={"torch": "1"},
        threads=1,
        **({"clip": FakeCLIP()} | arguments),
    )
    part = job.plan.parts(job.config, 0, 1)[number]
    try:
        maker.make(request_part(job.store, job.run, job.config, job.plan, part))
    finally:
        maker.close()
    return manifest_of(job, number)


def manifest_of(job, number=0) -> Manifest:
    return Manifest.model_validate_json(job.store.get(layout.synthetic_manifest(job.run, 1, 0, number)))


def members(job, number=0) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(job.store.get(layout.synthetic_tar(job.run, 1, 0, number)))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def bad(*keys, attempts=(0,), reason="black", seed=0):
    """A fault for these images at these attempts."""
    seeds = {image_seed(seed, *key, attempt) for key in keys for attempt in attempts}
    return lambda prompt, image: reason if image in seeds else None


def test_a_part_is_a_tar_with_prompts_and_metadata_and_a_manifest(store):
    job = images_job(store)
    manifest = make(job)
    part, files = job.plan.parts(job.config, 0, 1)[0], members(job)
    assert sorted(manifest.key) == sorted(f"{class_id}-{index:07d}" for class_id, index in part.images)
    data = store.get(manifest.tar)
    assert hashlib.sha256(data).hexdigest() == manifest.sha256 and len(data) == manifest.bytes
    for n, key in enumerate(manifest.key):
        metadata = json.loads(files[f"{key}.json"])
        jpeg = data[manifest.offset[n] : manifest.offset[n] + manifest.length[n]]
        assert jpeg == files[f"{key}.jpg"] and hashlib.sha256(jpeg).hexdigest() == metadata["sha256"]
        assert (
            int(files[f"{key}.cls"]) == manifest.label[n] == job.plan.labels[manifest.class_id[n]] == metadata["label"]
        )
        assert files[f"{key}.txt"].decode() == metadata["prompt"]
        assert (metadata["kind"], metadata["clip_score"], metadata["attempt"]) == (
            manifest.kind[n],
            manifest.clip_score[n],
            0,
        )
        assert metadata["seed"] == image_seed(0, manifest.class_id[n], metadata["index"], 0)
        assert metadata["guidance_scale"] == (1.0 if manifest.kind[n] == "plain" else 1.5)


def test_the_same_part_gives_the_same_bytes_in_another_store(store, tmp_path):
    other = open_store(tmp_path / "other", create=True)
    for place in (store, other):
        make(images_job(place))
    keys = list(store.list("runs/first/synthetic/"))
    assert keys == list(other.list("runs/first/synthetic/")) and len(keys) == 2
    assert all(store.get(key) == other.get(key) for key in keys)


def test_a_rejected_image_is_made_again_with_a_new_seed_and_counted(store):
    job = images_job(store)
    victims = job.plan.parts(job.config, 0, 1)[0].images[:2]
    manifest = make(job, FakeDiffusion(fault=bad(*victims, reason="not finite")))
    keys = [f"{class_id}-{index:07d}" for class_id, index in victims]
    assert {(reject.key, reject.attempt, reject.reason) for reject in manifest.rejects} == {
        (key, 0, "not finite") for key in keys
    }
    assert manifest.lost == [] and {
        manifest.key[n] for n, attempt in enumerate(manifest.attempt) if attempt == 1
    } == set(keys)
    metadata = json.loads(members(job)[f"{keys[0]}.json"])
    assert metadata["attempt"] == 1 and metadata["seed"] == image_seed(0, *victims[0], 1)


@pytest.mark.parametrize("reason", ["not finite", "black", "flagged"])
def test_an_image_that_always_fails_is_given_up_and_listed(store, reason):
    job = images_job(store)
    victim = job.plan.parts(job.config, 0, 1)[0].images[0]
    manifest = make(job, FakeDiffusion(fault=bad(victim, attempts=range(9), reason=reason)))
    key = f"{victim[0]}-{victim[1]:07d}"
    assert manifest.lost == [key] and key not in manifest.key and len(manifest.key) == 19
    assert [(reject.attempt, reject.reason) for reject in manifest.rejects] == [
        (attempt, reason) for attempt in range(3)
    ]


def test_above_a_fifth_of_rejects_the_part_stops_with_the_likely_cause(store):
    job = images_job(store, images=40, part_images=100)
    fault = bad(*job.plan.parts(job.config, 0, 1)[0].images[:30], reason="not finite")
    diffusion = FakeDiffusion(fault=fault)
    with pytest.raises(
        ModelError, match=r"16 of a part's first 16 .*16 not finite.*overflows in float16: set images.dtype=bfloat16"
    ):
        make(job, diffusion)
    assert list(store.list("runs/first/synthetic/")) == []
    assert len(diffusion.calls) < 8  # did not go on to the end


def test_a_fifth_of_rejects_is_still_accepted(store):
    job = images_job(store, images=40, part_images=100)
    images = request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]).images
    victims = [(image.class_id, image.index) for image in images[::8]]
    assert len(make(job, FakeDiffusion(fault=bad(*victims))).rejects) == len(victims)


def test_out_of_memory_restarts_the_part_at_half_the_batch(store, tmp_path):
    manifest = make(images_job(store, batch_size=8), FakeDiffusion(most=3))
    assert manifest.batch_size == 2
    other = open_store(tmp_path / "other", create=True)
    make(images_job(other, batch_size=2))
    assert store.get(manifest.tar) == other.get(manifest.tar)


def test_out_of_memory_with_one_image_names_what_to_lower(store):
    with pytest.raises(UsageError, match=r"out of memory with one image of fake .*images\.width"):
        make(images_job(store), FakeDiffusion(most=0))


def test_out_of_memory_again_while_the_batches_before_it_drain_is_borne(store):
    """The threads beside the model score on the same GPU."""

    class Crowded(FakeCLIP):
        failed = 0

        def embed_images(self, images):
            if len(images) > 2:
                self.failed += 1
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().embed_images(images)

    clip = Crowded()
    manifest = make(images_job(store, batch_size=8), FakeDiffusion(), clip=clip)
    assert clip.failed > 1 and manifest.batch_size == 2 and len(manifest.key) == 20


def test_batches_stay_in_the_part_and_padding_is_dropped(store):
    job = images_job(store, images=10, part_images=11, guidance_scale_diversified=1.0)
    diffusion = FakeDiffusion()
    assert len(make(job, diffusion).key) == 11
    assert [len(call) for call in diffusion.calls] == [8, 4]


def test_prompts_are_encoded_a_window_of_batches_at_a_time(store):
    job = images_job(store, images=20, part_images=60, batch_size=4, guidance_scale_diversified=1.0)
    diffusion, part = FakeDiffusion(), job.plan.parts(job.config, 0, 1)[0]
    make(job, diffusion)
    texts = [image.prompt.text for image in request_part(store, "first", job.config, job.plan, part).images]
    expected = [texts[:4], texts[4:20], texts[20:36], texts[36:52], texts[52:]]
    assert diffusion.windows == [list(dict.fromkeys(window)) for window in expected]


def test_truncated_prompts_are_counted_once(store):
    job = images_job(store)
    put_prompts(store, "bag", plain=["a photo of a bag" + " and a bag" * 40])
    images = request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]).images
    expected = sum(len(image.prompt.text) > 200 for image in images)
    victim = next((image.class_id, image.index) for image in images if len(image.prompt.text) > 200)
    assert make(job, FakeDiffusion(fault=bad(victim))).truncated_prompts == expected > 0


def test_a_part_takes_the_prompts_files_as_they_are_and_records_their_digests(store):
    job = images_job(store)
    first = make(job, number=0)
    put_prompts(store, "bag", plain=["a photo of a leather bag"])
    second = make(job, number=1)
    digest = hashlib.sha256(store.get(layout.prompts("first", "bag"))).hexdigest()
    assert first.prompts_sha256["bag"] != second.prompts_sha256["bag"] == digest
    assert first.prompts_sha256["boot"] == second.prompts_sha256["boot"]


def test_the_manifest_comes_last(store):
    puts = []

    class Watched:
        def put(self, key, data, **more):
            puts.append((key, store.exists(layout.synthetic_manifest("first", 1, 0, 0))))
            return store.put(key, data, **more)

        def __getattr__(self, name):
            return getattr(store, name)

    make(images_job(Watched()))
    assert [(key[-4:], there) for key, there in puts if "synthetic" in key] == [(".tar", False), ("json", False)]


def test_a_failed_upload_is_raised_and_leaves_no_manifest(store):
    class Full:
        def put(self, key, data, **more):
            if key.endswith(".tar"):
                raise OSError(28, "No space left on device")
            return store.put(key, data, **more)

        def __getattr__(self, name):
            return getattr(store, name)

    with pytest.raises(OSError, match="No space"):
        make(images_job(Full()))
    assert list(store.list("runs/first/synthetic/")) == []


def test_memory_is_bounded_when_the_work_beside_the_model_is_slow(store):
    """The model may be a few batches ahead, never all of them."""
    job = images_job(store, images=40, part_images=120, batch_size=4, guidance_scale_diversified=1.0)
    finished, ahead = [0], []
    gate = threading.Semaphore(0)

    class SlowCLIP(FakeCLIP):
        def embed_images(self, images):
            gate.acquire()
            finished[0] += 1
            return super().embed_images(images)

    class Watched(FakeDiffusion):
        def generate(self, *arguments, **settings):
            ahead.append(len(self.calls) - finished[0])
            gate.release()
            return super().generate(*arguments, **settings)

    diffusion = Watched()
    maker = PartMaker(
        store=store,
        run="first",
        config=job.config,
        plan=job.plan,
        diffusion=diffusion,
        clip=SlowCLIP(),
        versions={},
        threads=1,
    )
    maker.make(request_part(store, "first", job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]))
    maker.close()
    assert len(diffusion.calls) == 30 and max(ahead) <= 4
