import gc
import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from synaug.backends.diffusion import open_diffusion
from synaug.data import layout
from synaug.data.manifest import Manifest
from synaug.data.store import open_store
from synaug.errors import ModelError, UsageError
from synaug.generation.batching import cut_batches, unique_prompts
from synaug.generation.part import PartMaker, generate_batch, request_part
from tests import tiny_diffusion
from tests.fakes import FakeCLIP
from tests.gpu import DEVICES, GPUS, needs_gpu
from tests.images_run import images_job

GPU = "cuda:0"


def job_of(folder, model, *, images: int = 8, **settings):
    """A part of 3 * images at 32 px, unless settings say otherwise."""
    settings = {
        "profile": "sd15",
        "width": 32,
        "height": 32,
        "num_inference_steps": 2,
        "guidance_scale_diversified": None,
    } | settings
    return images_job(
        open_store(folder, create=True), images=images, part_images=3 * images, model=str(model), **settings
    )


def planned(job):
    return request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0])


def make(job, diffusion) -> Manifest:
    maker = PartMaker(
        store=job.store,
        run=job.run,
        config=job.config,
        plan=job.plan,
        diffusion=diffusion,
        clip=FakeCLIP(),
        versions={},
        threads=2,
    )
    try:
        maker.make(planned(job))
    finally:
        maker.close()
    return Manifest.model_validate_json(job.store.get(layout.synthetic_manifest(job.run, 1, 0, 0)))


def stored(job, manifest: Manifest) -> dict[str, tuple[np.ndarray, dict]]:
    """Pixels and metadata by key."""
    with tarfile.open(fileobj=io.BytesIO(job.store.get(manifest.tar))) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    return {
        key: (np.asarray(Image.open(io.BytesIO(files[f"{key}.jpg"])), np.int16), json.loads(files[f"{key}.json"]))
        for key in manifest.key
    }


@pytest.fixture
def capped():
    """cap(bytes): torch's allocator takes no more of the GPU for the rest of the test."""
    total = torch.cuda.get_device_properties(GPU).total_memory

    def cap(limit: int) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(limit / total, GPU)

    yield cap
    torch.cuda.set_per_process_memory_fraction(1.0, GPU)


def peak(job, diffusion, size: int) -> int:
    """Bytes that torch's allocator holds while a batch of this size is made."""
    (first, *_) = cut_batches(planned(job).images, size)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(GPU)
    generate_batch(diffusion, job.config, first, diffusion.encode(unique_prompts([first])))
    return torch.cuda.max_memory_reserved(GPU)


@needs_gpu
def test_a_gpu_that_runs_out_of_memory_halves_the_batch_and_publishes_the_same_part(tmp_path, capped):
    model = tiny_diffusion.save_sd(tmp_path)
    job = job_of(tmp_path / "one", model, batch_size=8, width=512, height=512)
    diffusion = open_diffusion(job.config, GPU)
    small, large = peak(job, diffusion, 4), peak(job, diffusion, 8)
    assert large > 1.3 * small  # else the cap below could not tell them apart
    capped((small + large) // 2)
    manifest = make(job, diffusion)
    assert manifest.batch_size in (4, 2) and len(manifest.key) == 24 and not manifest.rejects
    torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    other = job_of(tmp_path / "two", model, batch_size=manifest.batch_size, width=512, height=512)
    again = make(other, diffusion)
    assert again.key == manifest.key and again.batch_size == manifest.batch_size
    ours, theirs = stored(job, manifest), stored(other, again)
    for key, (pixels, metadata) in ours.items():
        assert metadata["seed"] == theirs[key][1]["seed"] and metadata["prompt"] == theirs[key][1]["prompt"]
        assert np.abs(pixels - theirs[key][0]).max() <= 8  # another algorithm may fit into less memory


@needs_gpu
def test_a_gpu_too_small_for_one_image_names_what_to_lower(tmp_path, capped):
    job = job_of(tmp_path / "one", tiny_diffusion.save_sd(tmp_path), batch_size=2, width=512, height=512)
    diffusion = open_diffusion(job.config, GPU)
    gc.collect()
    torch.cuda.empty_cache()
    capped(torch.cuda.memory_reserved(GPU) + (4 << 20))
    with pytest.raises(UsageError, match=r"out of memory with one image .*images\.width"):
        make(job, diffusion)


@pytest.fixture
def overflowing(tmp_path):
    """SD and SDXL folders whose VAE's activations pass float16's largest, 65504, as SDXL's own do (diffusers#11228)."""
    from diffusers import AutoencoderKL

    folders = {"sd15": tiny_diffusion.save_sd(tmp_path), "sdxl": tiny_diffusion.save_sdxl(tmp_path)}
    for folder in folders.values():
        vae = AutoencoderKL.from_pretrained(folder / "vae")
        with torch.no_grad():
            vae.decoder.conv_in.weight.mul_(1e5)
        vae.save_pretrained(folder / "vae")
    return folders


@needs_gpu
def test_a_vae_that_overflows_in_float16_stops_the_part_with_the_cause(overflowing, tmp_path):
    job = job_of(tmp_path / "store", overflowing["sd15"], dtype="float16")
    with pytest.raises(ModelError, match=r"not finite.*overflows in float16: set images\.dtype=bfloat16 or float32"):
        make(job, open_diffusion(job.config, GPU))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("profile", "dtype"), [("sd15", "bfloat16"), ("sd15", "float32"), ("sdxl", "auto")])
def test_the_same_vae_decodes_in_a_wider_dtype(overflowing, tmp_path, profile, dtype, device):
    job = job_of(tmp_path / "store", overflowing[profile], profile=profile, dtype=dtype, images=2)
    assert not make(job, open_diffusion(job.config, device)).rejects


@needs_gpu
@pytest.mark.parametrize("profile", ["sd15", "sdxl"])
def test_a_compiled_denoiser_makes_the_same_images(tmp_path, profile):
    model = {"sd15": tiny_diffusion.save_sd, "sdxl": tiny_diffusion.save_sdxl}[profile](tmp_path)
    jobs = [
        job_of(tmp_path / str(on), model, profile=profile, dtype="float32", images=2, compile=on)
        for on in (False, True)
    ]
    made = [stored(job, make(job, open_diffusion(job.config, GPU))) for job in jobs]
    assert all(np.abs(made[0][key][0] - made[1][key][0]).max() <= 8 for key in made[0])


@pytest.mark.parametrize("device", DEVICES)
def test_phases_are_measured_on_every_device(tmp_path, device):
    job = job_of(tmp_path / "store", tiny_diffusion.save_sd(tmp_path), images=2)
    diffusion = open_diffusion(job.config, device)
    make(job, diffusion)
    assert all(seconds > 0 for seconds in diffusion.seconds.values()) and (device == "cpu" or GPUS)
