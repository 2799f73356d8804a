"""Each benchmark runs, on tiny sizes; its figures are not looked at, the machine is busy."""

import json

import numpy as np
import pytest
import torch

from synaug.backends.diffusion import open_diffusion
from synaug.data.store import open_store
from synaug.generation.batching import cut_batches, unique_prompts
from synaug.generation.part import generate_batch, request_part
from tests import tiny_diffusion
from tests.benchmarks import NAMES, __main__, auxbn, feeding, full_size, images, levers, loader, memory
from tests.benchmarks.diffusers_loop import PlainLoop
from tests.benchmarks.result import Result, without_gpu
from tests.images_run import images_job


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(tmp_path) -> dict:
    """Fields of `images:` for a small pipeline."""
    return {
        "profile": "sd15",
        "model": str(tiny_diffusion.save_sd(tmp_path)),
        "width": 32,
        "height": 32,
        "num_inference_steps": 2,
    }


@pytest.fixture
def tiny_xl(tmp_path) -> dict:
    model = str(tiny_diffusion.save_sdxl(tmp_path))
    return {"profile": "sdxl", "model": model, "width": 32, "height": 32, "num_inference_steps": 2, "dtype": "bfloat16"}


def test_the_images_stage_against_the_bare_loop_and_where_its_time_goes():
    results = images.measure("embedded", images=6, batch=3, rounds=1, num_inference_steps=2)
    assert [result.target for result in results[:4]] == [">= 0.95", "", "", ""] and all(
        result.value > 0 for result in results[:5]
    )
    shares = {result.name.rpartition(" ")[2]: result.value for result in results[5:]}
    assert tuple(shares) == images.PHASES and all(share > 0 for share in shares.values())
    assert 0 < sum(shares[phase] for phase in ("denoise", "decode", "copy", "wait")) <= 1


def test_the_images_stage_against_diffusers_as_documented(tiny_xl):
    results = {result.name: result for result in images.measure("tiny", images=6, batch=3, rounds=1, **tiny_xl)}
    documented = results["images tiny: stage / diffusers as documented, batch 3"]
    assert documented.target == ">= 1.5" and documented.value > 0


def test_the_documented_loop_makes_the_images_of_the_stage(tiny, tmp_path, monkeypatch):
    from PIL import Image

    job = images_job(open_store(tmp_path / "store", create=True), images=3, batch_size=4, **tiny)
    planned = request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]).images
    saved = []
    monkeypatch.setattr(Image.Image, "save", lambda self, path, **settings: saved.append(self))
    PlainLoop(job.config, torch.device("cpu"), planned).run()
    diffusion, (first, *_) = open_diffusion(job.config, "cpu"), cut_batches(planned, 4)
    expected = generate_batch(diffusion, job.config, first, diffusion.encode(unique_prompts([first]))).pixels
    assert len(saved) == len(planned)
    for picture, pixels in zip(saved, expected, strict=False):
        assert (torch.from_numpy(np.array(picture)).permute(2, 0, 1).int() - pixels.int()).abs().max() <= 2


def test_levers_that_a_cpu_can_judge_are_measured():
    results = levers.measure("tiny", part=8, batch=4, rounds=1, num_inference_steps=2)
    wanted = ["channels-last", "prompts embedded by windows", "encoding in threads"]
    assert [result.name for result in results] == [levers.name_of("tiny", name) for name in wanted]
    assert all(result.value > 0 and result.details["product"] for result in results)


@pytest.mark.parametrize(
    "switch",
    [
        pytest.param(s, id=s.name, marks=[pytest.mark.slow] * (s.name == "CUDA graphs"))
        for s in levers.SWITCHES
        if "alone" not in s.name
    ],
)
def test_a_lever_changes_no_image_and_leaves_the_model_as_it_was(switch, tiny_xl, monkeypatch):
    """Compiled by dynamo alone, which is quicker; which backends of attention a CPU has differs."""
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **settings: compiler(function, backend="eager"))
    with images.bench(images=2, batch=2, **tiny_xl | {"dtype": "float32"}) as at, torch.inference_mode():
        bare = at.bare()
        expected = torch.cat(list(bare.batches()))
        before = {
            name: (weight.dtype, weight.stride()) for name, weight in at.diffusion.pipeline.unet.named_parameters()
        }
        with switch.on(at.diffusion):
            made = torch.cat(list(bare.batches()))
        assert torch.allclose(made.float(), expected, atol=0.05 if "bfloat16" in switch.name else 1e-4)
        assert before == {
            name: (weight.dtype, weight.stride()) for name, weight in at.diffusion.pipeline.unet.named_parameters()
        }
        assert not any(module._compiled_call_impl for module in at.diffusion.pipeline.unet.modules())
        assert torch.allclose(torch.cat(list(bare.batches())), expected, atol=1e-2)


@pytest.mark.parametrize("pinned", [False, None])
def test_copies_to_the_cpu_are_measured(pinned, tiny):
    with images.bench(images=3, batch=2, **tiny) as at:
        assert levers.time_copies(at.bare(), pinned=pinned) > 0


def test_a_lever_that_the_hardware_refuses_is_not_measured(monkeypatch):
    monkeypatch.setattr(levers, "SWITCHES", [levers.Switch("flash", "never", refusing, on_cpu=True)])
    flash, *_ = levers.measure("tiny", part=6, batch=3, rounds=1, num_inference_steps=1)
    assert (flash.verdict, flash.details["refused"]) == ("not yet measured", "No available kernel")


def refusing(diffusion):
    raise RuntimeError("No available kernel")


def test_the_training_loop_fed_by_the_loader():
    settings = {
        "model": "test_resnet",
        "image_size": 16,
        "batch_size": 8,
        "lr": 0.01,
        "augmentation": {"crop": "random-resized"},
    }
    (result,) = feeding.measure(
        "tiny", settings, size=(24, 20), tars=(2, 3), per_tar=8, steps=3, rounds=2, threads=1, device="cpu"
    )
    assert result.target == ">= 0.95" and len(result.values) == 2 and all(value > 0 for value in result.values)


def test_what_takes_a_gpu_is_marked_as_not_yet_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "run", lambda: [without_gpu("a step", "<= 1.05"), Result(name="rate", values=[9])])
    assert __main__.main(["--only", "memory"]) == 0
    (file,) = (tmp_path / "bench-results").iterdir()
    missing = json.loads(file.read_text())["results"][0]
    assert (missing["value"], missing["verdict"], missing["details"]) == (
        None,
        "not yet measured",
        {"needs": "an NVIDIA GPU"},
    )
    assert "not yet measured" in capsys.readouterr().out
    assert torch.__version__.partition("+")[0].replace(".", "-") in file.name


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_bare_loop_makes_the_images_of_the_stage(guidance, tiny, tmp_path):
    """Else the stage would be held against another model, batch or number of steps."""
    job = images_job(
        open_store(tmp_path / "store", create=True), images=3, batch_size=4, **tiny | {"guidance_scale": guidance}
    )
    diffusion = open_diffusion(job.config, "cpu")
    todo = cut_batches(
        request_part(job.store, job.run, job.config, job.plan, job.plan.parts(job.config, 0, 1)[0]).images, 4
    )
    encoded = diffusion.encode(unique_prompts(todo))
    with torch.inference_mode():
        bare = list(images.Bare(diffusion, job, todo).batches())
    assert len(bare) == len(todo) > 1
    for pixels, batch in zip(bare, todo, strict=True):
        expected = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round()
        made = generate_batch(diffusion, job.config, batch, encoded).pixels
        assert (expected - made.float()).abs().max() <= 1


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("sd15", {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}),
        (
            "sdxl",
            {"unet": 2_567_463_684, "vae": 83_653_863, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840},
        ),
    ],
)
def test_random_pipelines_are_of_the_true_size(profile, expected):
    with torch.device("meta"):
        sizes = {
            name: sum(weight.numel() for weight in part.parameters()) for name, part in full_size.parts(profile).items()
        }
    assert sizes == expected


def test_loader_against_decoding_alone():
    results = loader.run(tars=4, per_tar=4, batch=4, rounds=1)
    assert results[0].target == ">= 0.9" and all(result.value > 0 for result in results)


def test_auxbn_step_and_graphs():
    graphs, step = auxbn.measure("test_resnet", graph_of="test_resnet", size=32, batch=4, repeats=2)
    assert (graphs.value, graphs.details["graph breaks"]) == (1, 0) and graphs.met
    assert len(step.values) == 2


@pytest.mark.parametrize(("leak", "verdict"), [(0, "pass"), (100_000, "FAIL")])
def test_memory_that_grows_is_seen(leak, verdict):
    (result,) = memory.run(samples=3_000, part=300, batch=20, leak=leak)
    assert result.details["samples"] >= 3_000 and result.verdict == verdict


@pytest.mark.parametrize(
    ("value", "target", "verdict"),
    [
        (0.94, ">= 0.95", "FAIL"),
        (0.95, ">= 0.95", "pass"),
        (1.06, "<= 1.05", "FAIL"),
        (1.05, "<= 1.05", "pass"),
        (2, "== 1", "FAIL"),
        (0, "== 1", "FAIL"),
        (1, "== 1", "pass"),
        (9, "", "reported"),
    ],
)
def test_the_verdict_is_that_of_the_median(value, target, verdict):
    assert Result(name="x", values=[-99, value, 99], target=target).verdict == verdict


def test_a_missed_target_exits_with_3_and_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "run", lambda: [Result(name="memory", values=[1.2, 1.1, 1.3], target="<= 1.05")])
    assert __main__.main(["--only", "memory", "--record", "Some CPU"]) == 3
    assert "target missed: memory is 1.200 ratio, <= 1.05 is asked for" in capsys.readouterr().err
    written = json.loads((tmp_path / "docs/bench/some-cpu.json").read_text())
    assert (
        written["results"][0]["values"] == [1.2, 1.1, 1.3]
        and written["hardware"]["cores"]
        and written["versions"]["torch"]
    )
    monkeypatch.setattr(
        memory, "run", lambda: [Result(name="memory", values=[1.0], target="<= 1.05"), Result(name="rate", values=[9])]
    )
    assert __main__.main(["--only", "memory"]) == 0


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        __main__.parse(["--only", "speed"])
    said = capsys.readouterr().err
    assert "'speed'" in said and all(name in said for name in NAMES)
