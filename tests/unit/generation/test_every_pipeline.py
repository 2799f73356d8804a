"""Every text-to-image family of diffusers, tiny and of its real classes, through our backend and into tars."""

import pytest
import torch

from synaug.backends import memory
from synaug.backends.diffusion import open_diffusion
from synaug.config import Config
from synaug.data.store import open_store
from synaug.generation import regenerate
from synaug.generation.part import PartMaker, request_part
from synaug.generation.postprocess import to_image, to_jpeg
from tests import tiny_pipelines
from tests.fakes import FakeCLIP
from tests.images_run import images_job
from tests.unit.generation.test_part import manifest_of

PROMPTS = ["a cat", "a photo of a dog on the moon, at night, in the rain", "a painting of a small cat in the snow"]
SEEDS = [11, 12, 13]
SIZE = {"hunyuan_image": 64, "sana": 32, "sana_sprint": 32}
RARE = {"latent_consistency", "sana_sprint", "aura_flow", "chroma", "hidream", "hunyuan_image"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in RARE else name for name in tiny_pipelines.TINY]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """folders(name): a saved tiny pipeline."""
    folder, saved = tmp_path_factory.mktemp("pipelines"), {}

    def of(name):
        if name not in saved:
            saved[name] = tiny_pipelines.save(name, folder)
        return str(saved[name])

    return of


def settings(name, folder, **own) -> dict:
    size = SIZE.get(name, 32)
    return {"model": folder, "width": size, "height": size, "num_inference_steps": 2, **own}


def open_tiny(name, folders, **own):
    images = settings(name, folders(name), **own)
    return open_diffusion(Config.model_validate({"images": images, "compute": {"device": "cpu"}}), "cpu")


def apart(some, others) -> float:
    return float((some.float() - others.float()).abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_bytes_and_a_batch_hardly_changes_an_image(name, folders):
    model = open_tiny(name, folders)
    guidance = [model.sampling.guidance_scale] * 3
    prompts = list(PROMPTS)
    made = model.generate(prompts, SEEDS, guidance_scale=guidance)
    assert prompts == PROMPTS  # Z-Image would write into it
    assert made.finite == [True] * 3 and made.pixels.dtype == torch.uint8
    assert torch.equal(made.pixels, model.generate(PROMPTS, SEEDS, guidance_scale=guidance).pixels)
    other = model.generate(PROMPTS, [11, 12, 99], guidance_scale=guidance).pixels
    assert apart(made.pixels[:2], other[:2]) <= 1 and apart(made.pixels[2], other[2]) > 1
    for n in range(3):
        alone = model.generate([PROMPTS[n]], [SEEDS[n]], guidance_scale=guidance[:1]).pixels[0]
        assert apart(made.pixels[n], alone) <= 2, n


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_what_diffusers_own_call_makes(name, folders):
    model = open_tiny(name, folders)
    guidance, pipeline = (
        model.sampling.guidance_scale,
        tiny_pipelines.diffusers.DiffusionPipeline.from_pretrained(folders(name)),
    )
    pipeline.set_progress_bar_config(disable=True)
    arguments = {name: value for name, value in model.family.fixed.items() if name in model._parameters}
    if model.family.guidance:
        arguments[model.family.guidance] = guidance
    if model.family.negative_default is not None:
        arguments["negative_prompt"] = model.family.negative_default
    expected = pipeline(
        prompt=PROMPTS[1],
        generator=torch.Generator().manual_seed(12),
        num_inference_steps=2,
        width=model.sampling.width,
        height=model.sampling.height,
        output_type="pt",
        **arguments,
    ).images
    made = model.generate(PROMPTS[1:2], [12], guidance_scale=[guidance]).pixels
    assert apart(made[0], (expected[0] * 255).round()) <= 1


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_that_fails_is_counted_and_not_stored(name, folders, value):
    model = open_tiny(name, folders)
    parameter = list(model.pipeline.vae.decoder.parameters())[-1]
    with torch.no_grad():
        parameter.fill_(value)  # diffusers would store infinity as white
    try:
        made = model.generate(PROMPTS, SEEDS, guidance_scale=[model.sampling.guidance_scale] * 3)
        assert made.finite == [False] * 3
    finally:
        memory.release_models()


@pytest.mark.parametrize("name", NAMES)
def test_its_parts_are_made_again_byte_for_byte_and_its_images_from_their_keys(name, folders, tmp_path):
    tars = []
    for place in ("one", "two"):
        own = settings(name, folders(name), profile=None, pipeline=tiny_pipelines.class_of(folders(name)))
        own |= {"guidance_scale_diversified": None}
        job = images_job(open_store(tmp_path / place, create=True), images=3, batch_size=2, **own)
        diffusion = open_diffusion(job.config, "cpu")
        part = job.plan.parts(job.config, 0, 1)[0]
        maker = PartMaker(
            store=job.store,
            run=job.run,
            config=job.config,
            plan=job.plan,
            diffusion=diffusion,
            clip=FakeCLIP(),
            versions={"torch": "1"},
            threads=1,
        )
        maker.make(request_part(job.store, job.run, job.config, job.plan, part))
        maker.close()
        manifest = manifest_of(job)
        assert not manifest.rejects
        tars.append(job.store.get(manifest.tar))
    assert tars[0] == tars[1]
    stored = regenerate.find_stored(job, manifest.key[0])
    pixels = regenerate.generate_exactly(diffusion, job.config, regenerate.rebuild_batch(job, stored), stored.key)
    assert to_jpeg(to_image(pixels, shortest_edge=384), quality=92) == stored.jpeg
