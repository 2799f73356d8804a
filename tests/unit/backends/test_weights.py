import json

import pytest

from synaug.backends import hub, weights
from synaug.backends.weights import describe_downloads, fetch_weights, find_weights, weights_folder
from synaug.config import Config
from synaug.errors import DataError, ModelError, TransientError
from synaug.run.plan import ModelInfo
from tests.hub_server import COMMIT, Repository, serve

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "feature_extractor": [None, None],
    "requires_safety_checker": True,
}
PIPELINE = {
    "model_index.json": json.dumps(INDEX).encode(),
    "README.md": b"card",
    "v1-5-pruned.safetensors": b"x" * 900,
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": b"x" * 400,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"x" * 200,
    "unet/diffusion_pytorch_model.non_ema.safetensors": b"x" * 400,
    "unet/diffusion_pytorch_model.bin": b"x" * 400,
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": b"x" * 50,
    "text_encoder/config.json": b"{}",
    "text_encoder/model.safetensors": b"x" * 70,
    "text_encoder/model.fp16.safetensors": b"x" * 35,
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"",
    "safety_checker/model.safetensors": b"x" * 600,
    "feature_extractor/preprocessor_config.json": b"{}",
}
# The hub tells files by their contents: each its own.
PIPELINE = {path: data if path == "model_index.json" else path.encode() + data for path, data in PIPELINE.items()}
SHARDED = {
    "model_index.json": json.dumps({"transformer": ["diffusers", "FluxTransformer2DModel"]}).encode(),
    "transformer/config.json": b"{}",
    "transformer/diffusion_pytorch_model-00001-of-00002.safetensors": b"x" * 40,
    "transformer/diffusion_pytorch_model-00002-of-00002.safetensors": b"x" * 40,
    "transformer/diffusion_pytorch_model.safetensors.index.json": b"{}",
    "transformer/diffusion_pytorch_model.fp16-00001-of-00002.safetensors": b"x" * 20,
    "transformer/diffusion_pytorch_model.fp16-00002-of-00002.safetensors": b"x" * 20,
    "transformer/diffusion_pytorch_model.safetensors.index.fp16.json": b"{}",
}
LLM = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model-00001-of-00002.safetensors": b"x" * 10,
    "model-00002-of-00002.safetensors": b"x" * 10,
    "model.safetensors.index.json": b"{}",
    "pytorch_model.bin": b"x" * 20,
    "original/consolidated.00.pth": b"x" * 20,
    "README.md": b"",
}


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Several models on a hub of ours, and an empty cache."""
    repositories = {
        "some/pipeline": Repository(dict(PIPELINE)),
        "some/sharded": Repository(SHARDED),
        "some/llm": Repository(LLM),
        "some/gated": Repository(PIPELINE, gated=True),
    }
    with serve(repositories) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(hub, "PAUSES", (0.0,))
        (tmp_path / "hub").mkdir()
        yield server


def model(name="some/pipeline", role="diffusion"):
    return ModelInfo(role=role, name=name, revision=COMMIT, license="none")


def test_only_what_the_pipeline_uses_is_fetched_in_half_where_there_is_a_half(served):
    found = fetch_weights(Config(), model())
    assert found is not None
    assert set(found.files) == {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    }
    assert found.variant == "fp16" and served.downloads() == sorted(found.files)
    assert (weights_folder(found) / "unet" / "config.json").is_file()


def test_float32_takes_the_whole_weights_and_a_safety_checker_is_fetched_when_it_is_used(served):
    whole = Config.model_validate({"images": {"dtype": "float32", "safety_checker": True}})
    found = find_weights(whole, model())
    assert found is not None and found.variant is None
    assert {"unet/diffusion_pytorch_model.safetensors", "safety_checker/model.safetensors"} <= set(found.files)
    assert not any(".fp16." in path or "non_ema" in path for path in found.files)


@pytest.mark.parametrize(("dtype", "half"), [("auto", True), ("float32", False)])
def test_all_pieces_of_weights_that_come_in_pieces_are_fetched_with_their_index(served, dtype, half):
    found = find_weights(Config.model_validate({"images": {"dtype": dtype}}), model("some/sharded"))
    pieces = {path for path in found.files if path.startswith("transformer/diffusion")}
    assert len(pieces) == 3 and all(("fp16" in path) is half for path in pieces)


def test_of_an_llm_the_weights_are_fetched_once_not_in_every_format(served):
    found = find_weights(Config(), model("some/llm", "llm"))
    assert set(found.files) == set(LLM) - {"pytorch_model.bin", "original/consolidated.00.pth", "README.md"}


def test_of_a_clip_one_file_is_fetched(served):
    served.repositories["timm/vit_large_patch14_clip_224.openai"] = Repository(
        {"open_clip_model.safetensors": b"x" * 30, "open_clip_pytorch_model.bin": b"x" * 30, "model.safetensors": b"x"}
    )
    config = Config.model_validate({"prompts": {"clip": {"model": "ViT-L-14", "pretrained": "openai"}}})
    found = fetch_weights(config, model("ViT-L-14 openai", "clip"))
    assert found is not None and set(found.files) == {"open_clip_model.safetensors"} and found.bytes == 30


def test_what_is_there_is_not_fetched_again_nor_asked_for(served):
    fetch_weights(Config(), model())
    served.asked.clear()
    assert fetch_weights(Config(), model()) == find_weights(Config(), model())
    assert served.asked == []


def test_progress_is_told_in_megabytes(served):
    served.repositories["some/pipeline"].files["unet/diffusion_pytorch_model.fp16.safetensors"] = b"x" * 30_000_000
    told = []
    fetch_weights(Config(), model(), told.append)
    assert (told[-1].done, told[-1].total, told[-1].unit) == (30, 31, "megabyte") and len(told) > 1


def test_plan_says_what_is_to_download_and_when_the_disk_is_too_small(served, monkeypatch):
    assert "some/pipeline 0 MB" in describe_downloads(Config(), [model()])
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**9})())
    assert "only 1 GB is free: make room, or set HF_HOME" in describe_downloads(Config(), [model()])
    with pytest.raises(DataError, match=r"some/pipeline takes .* where 1 GB is free; make room"):
        fetch_weights(Config(), model())
    assert served.downloads() == ["model_index.json"]


def test_a_gated_model_without_a_token_is_refused_before_anything_is_fetched(served):
    with pytest.raises(ModelError, match=r"the hub refuses some/gated .*set HF_TOKEN.*accept the licence"):
        find_weights(Config(), model("some/gated"))


def test_what_the_cache_holds_serves_when_the_hub_is_away(served, monkeypatch):
    fetch_weights(Config(), model())
    for record in (weights._cache() / ".synaug").iterdir():  # fetched by other hands
        record.unlink()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    found = find_weights(Config(), model())
    assert found is not None and found.variant == "fp16" and not found.missing()


def test_a_hub_that_is_away_is_transient(served, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match="some/pipeline"):
        find_weights(Config(), model())


def test_folders_and_what_ships_with_synaug_need_no_hub(served, tmp_path):
    assert find_weights(Config(), model(str(tmp_path))) is None
    embedded = Config.model_validate({"prompts": {"clip": {"model": "embedded"}, "llm": {"model": "embedded"}}})
    for role in ("llm", "clip"):
        info = ModelInfo(role=role, name="embedded", revision="sha256:0123", license="none")
        assert find_weights(embedded, info) is None
    assert served.asked == []


def test_a_pipeline_of_which_some_parts_are_halved_is_fetched_and_loaded(served, tmp_path):
    """By our own road: resolved at the hub, fetched, opened from the snapshot."""
    from synaug.backends.diffusion import open_diffusion
    from synaug.backends.resolve import with_pipeline
    from tests import tiny_pipelines

    folder = tiny_pipelines.save("stable_diffusion", tmp_path)
    half = tiny_pipelines.build("stable_diffusion")
    half.unet.half().save_pretrained(folder / "unet", variant="fp16")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    served.repositories["some/tiny"] = Repository(files, card={"license": "mit"})
    images = {"model": "some/tiny", "width": 32, "height": 32, "num_inference_steps": 2}
    config = with_pipeline(Config.model_validate({"images": images, "compute": {"device": "cpu"}}))
    assert config.images.pipeline == "StableDiffusionPipeline"
    opened = open_diffusion(config, "cpu")
    assert opened.info.license == "mit" and opened.info.revision == COMMIT
    downloads = served.downloads()
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in downloads
    assert "unet/diffusion_pytorch_model.safetensors" not in downloads
    assert opened.generate(["a cat"], [1], guidance_scale=[2.0]).finite == [True]
