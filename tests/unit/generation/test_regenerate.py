import pytest

from synaug.data.seeding import image_seed
from synaug.data.store import open_store
from synaug.errors import DataError, UsageError
from synaug.generation import regenerate
from synaug.generation.part import PartMaker, request_part
from synaug.generation.postprocess import to_image, to_jpeg
from tests.fakes import FakeCLIP, FakeDiffusion
from tests.images_run import images_job, put_prompts


def made(tmp_path, fault=lambda prompt, seed: None, **settings):
    job = images_job(open_store(tmp_path / "store", create=True), images=20, part_images=30, **settings)
    diffusion = FakeDiffusion(fault=fault)
    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=job.config,
        plan=job.plan,
        diffusion=diffusion,
        clip=FakeCLIP(),
        versions={},
        threads=1,
    )
    maker.make(request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]))
    maker.close()
    return job, diffusion


def bad(job_images, attempts):
    seeds = {image_seed(0, *image, attempt) for image in job_images for attempt in attempts}
    return lambda prompt, seed: "black" if seed in seeds else None


def jpeg(pixels):
    return to_jpeg(to_image(pixels, shortest_edge=384), quality=92)


def key_of(image):
    return f"{image[0]}-{image[1]:07d}"


def victims(tmp_path):
    job = images_job(open_store(tmp_path / "plan", create=True), images=20, part_images=30)
    return job.plan.parts(job.config, 0, 1)[0].images[3:6]


def test_every_stored_image_comes_out_again_alone_and_with_its_batch(tmp_path):
    twice, once, lost = victims(tmp_path)
    seeds = bad([twice], [0, 1]), bad([once], [0]), bad([lost], [0, 1, 2])
    job, diffusion = made(
        tmp_path, lambda prompt, seed: next((f for f in (fault(prompt, seed) for fault in seeds) if f), None)
    )
    manifest = regenerate.find_stored(job, key_of(twice)).manifest
    assert len(manifest.key) == 29 and set(manifest.attempt) == {0, 1, 2}
    for key in manifest.key:
        stored = regenerate.find_stored(job, key)
        assert jpeg(regenerate.generate_alone(diffusion, job.config, stored.to_request(0))) == stored.jpeg
        original = regenerate.rebuild_batch(job, stored)
        assert jpeg(regenerate.generate_exactly(diffusion, job.config, original, key)) == stored.jpeg


def test_batches_and_windows_are_those_of_the_stage(tmp_path):
    job, diffusion = made(tmp_path, bad(victims(tmp_path), [0]))
    calls, windows = list(diffusion.calls), [set(window) for window in diffusion.windows]
    for key in regenerate.find_stored(job, key_of(victims(tmp_path)[0])).manifest.key:
        original = regenerate.rebuild_batch(job, regenerate.find_stored(job, key))
        assert [image.prompt.text for image in original.batch.padded] in calls
        assert {image.prompt.text for batch in original.window for image in batch.images} in windows


def test_a_key_outside_the_run_is_refused_with_what_there_is(tmp_path):
    job, _ = made(tmp_path)
    with pytest.raises(UsageError, match="bag-0000000 to bag-0000019"):
        regenerate.find_stored(job, "bag-0000020")
    with pytest.raises(UsageError, match=r"no class 'crane'.*boot"):
        regenerate.find_stored(job, "crane-0000001")
    with pytest.raises(UsageError, match="seven digits"):
        regenerate.find_stored(job, "bag-1")


def test_an_image_of_a_part_to_come_names_the_command(tmp_path):
    job, _ = made(tmp_path)
    with pytest.raises(DataError, match=r"not made yet.*--shard 0"):
        regenerate.find_stored(job, key_of(job.plan.parts(job.config, 0, 1)[1].images[0]))


def test_a_lost_image_says_why(tmp_path):
    lost = victims(tmp_path)[0]
    job, _ = made(tmp_path, bad([lost], [0, 1, 2]))
    with pytest.raises(DataError, match="3 attempts: black, black, black"):
        regenerate.find_stored(job, key_of(lost))


def test_the_batch_of_a_lost_image_needs_its_prompts_file_unedited(tmp_path):
    lost, other = victims(tmp_path)[:2]
    job, _ = made(tmp_path, bad([lost], [0, 1, 2]))
    stored = regenerate.find_stored(job, key_of(other))
    put_prompts(job.store, lost[0], plain=["a picture of something else"])
    with pytest.raises(DataError, match="edited since"):
        regenerate.rebuild_batch(job, stored)
