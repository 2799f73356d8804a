"""What can go wrong: one line on stderr, the exit code of the design, and nothing finished is touched."""

import inspect
import re

import pytest

from synaug.__main__ import main
from tests.local import broken
from tests.local.broken import Site

HERE = "--store {store} --run first"
PLAN = f"plan --config {{folder}}/run.yaml {HERE}"
ROWS = [
    # command, exit code, pattern of the whole line, what was broken before
    (f"{PLAN} --scale 0x", 2, r"synaug plan: scale: '0x' is no scale; give a whole multiple .*", None),
    (f"{PLAN} --scale six", 2, r"synaug plan: scale: 'six' is no scale; .* like 1x, 2x or 6x", None),
    (f"{PLAN} --scale=-1x", 2, r"synaug plan: scale: '-1x' is no scale; .*", None),
    (f"{PLAN} --scale 1.5x", 2, r"synaug plan: scale: '1\.5x' is no scale; .*", None),
    (f"{PLAN} images.guidence_scale=2", 2, r"synaug plan: .*unknown key images\.guidence_scale; did you mean images\.guidance_scale\?", None),
    (f"{PLAN} images.batch_size=many", 2, r"synaug plan: .*images\.batch_size: 'many' is given, integer is allowed", None),
    (f"{PLAN} nonsense", 2, r"synaug plan: 'nonsense' is no override; write FIELD=VALUE, like images\.guidance_scale=2\.0", None),
    (f"{PLAN} training.batch_size=1", 2, r"synaug plan: .*training\.batch_size: 1 must be greater than or equal to 2", None),
    (f"{PLAN} training.synthetic_share=0.01", 2, r"synaug plan: arm auxbn-1x: synthetic_share 0\.01 of batch_size \d+ is 0 images; .*: change the share, or raise batch_size", None),
    (f"{PLAN} images.negative_prompt=blurry", 2, r"synaug plan: images\.negative_prompt='blurry' would be ignored by profile embedded.*", None),
    (f"plan --config nowhere.yaml {HERE}", 2, r"synaug plan: there is no configuration file 'nowhere\.yaml'; give a run\.yaml, or a preset: .*", None),
    (f"plan --preset dmo {HERE}", 2, r"synaug plan: there is no preset 'dmo'; presets: demo, imagenet, low-data, long-tail, cluster", None),
    (f"plan {HERE}", 2, r"synaug plan: one of the arguments --config --preset is required; `synaug plan --help` .*", None),
    (f"{PLAN}", 2, r"synaug plan: .*2 classes have the id 'bag'; .*", broken.two_classes_with_one_id),
    (f"{PLAN}", 3, r"synaug plan: no real image of scarf in the split 'train'; import some, .*", broken.a_class_without_images),
    (f"{PLAN} real.train=val", 3, r"synaug plan: no split 'val' in the store .*imported: train; .*", None),
    (f"{PLAN} seed=1", 3, r"synaug plan: run 'first' has prompts .*: seed 0 -> 1; take another --run.*", broken.prompts_exist),
    (f"{PLAN} images.profile=sd15", 4, r"synaug plan: no such model or revision, offline: stable-diffusion.* is not in the local cache; .*", None),
    (f"{PLAN} images.profile=sd16", 2, r"synaug plan: images\.profile='sd16' is unknown; profiles are embedded, sd15, .* leave it out and give images\.model", None),
    (f"{PLAN} images.profile=null images.model={{folder}}", 4, r"synaug plan: .*: no model_index\.json in this folder, .*; give images\.model a folder or another hub name", None),
    (f"{PLAN} images.profile=null images.model={{folder}}/model", 4, r"synaug plan: .*model is a StableDiffusionImg2ImgPipeline, which makes no images from prompts alone; .*", broken.an_image_to_image_model),
    (f"{PLAN} images.profile=null images.model=no/such", 4, r"synaug plan: .*no/such.*", None),
    (f"{PLAN} images.profile=pixart-sigma images.width=500", 2, r"synaug plan: images\.width=500 does not suit profile pixart-sigma; give a multiple of 8", None),
    (f"{PLAN} images.profile=flux-schnell images.guidance_scale=3", 2, r"synaug plan: images\.guidance_scale=3\.0 would be ignored by profile flux-schnell: .*", None),
    (f"run --config {{folder}}/run.yaml {HERE} compute.local_gpus=[0,9]", 2, r"synaug run: compute\.local_gpus=\[0, 9\], but this machine has no usable GPU; .*", None),
    (f"{PLAN} prompts.llm.model=no/such", 4, r"synaug plan: no such model or revision, offline: no/such .*", None),
    ("plan --config {folder}/run.yaml --store {folder}/nowhere --run first", 3, r"synaug plan: no store at .*/nowhere: .*", None),
    ("plan --config {folder}/run.yaml --store ftp://host/x --run first", 2, r"synaug plan: 'ftp://host/x' has the unknown scheme ftp://; .*", None),
    ("plan --config {folder}/run.yaml --store {store} --run a/b", 2, r"synaug plan: run 'a/b': a name has letters, .*", None),
    (f"{PLAN}", 3, r"synaug plan: the store .* is full .*; free some space and run again", broken.full),
    (f"{PLAN}", 3, r"synaug plan: the store .* is read-only, .*", broken.read_only),
    (f"{PLAN}", 3, r"synaug plan: no permission for .*", broken.denied),
    (
        "import {folder}/some.tar --store {store} --split more", 3,
        r"synaug import: .*some\.tar: image \S+ cannot be decoded .*--skip-broken", broken.a_tar_with_a_broken_jpeg,
    ),
    ("import {folder}/some.tar --store {store} --split more", 3, r"synaug import: .*some\.tar is truncated.*", broken.a_truncated_tar),
    (
        "import {folder}/some.tar --store {store} --split more --classes {folder}/classes.yaml", 3, r"synaug import: .*label.* 7.*",
        broken.a_tar_with_a_label_out_of_range,
    ),
    ("import {folder}/photos --store {store} --split more --classes nowhere.yaml", 2, r"synaug import: no class list nowhere\.yaml.*", None),
    ("import {folder}/nowhere --store {store}", 3, r"synaug import: no folder, \.csv file or tar '.*nowhere' to import from .*", None),
    (f"prompts {HERE} --shard 9", 2, r"synaug prompts: --shard 9: run 'first' has class shards 0 to 1", None),
    (f"prompts {HERE}", 2, r"synaug prompts: the following arguments are required: --shard; .*", None),
    ("prompts --store {store} --run other --shard 0", 3, r"synaug prompts: run 'other' is not planned in .*; do `synaug plan .*` first", None),
    (f"images {HERE} --shard x", 2, r"synaug images: argument --shard: invalid int value: 'x'; .*", None),
    (f"prompts {HERE} --shard 0 compute.device=cuda", 2, r"synaug prompts: compute\.device='cuda', but this machine has 0 usable GPUs; .*", None),
    (f"images {HERE} --shard 0 compute.device=cuda", 2, r"synaug images: compute\.device='cuda', but this machine has 0 usable GPUs; .*", None),
    (f"images {HERE} --shard 0 seed=3", 2, r"synaug images: seed is identity: stages take it from the plan; .*", None),
    (f"images {HERE} --shard 0", 3, r"synaug images: \d of \d classes have no prompts file, like \w+; do `synaug prompts .*", None),
    (f"images {HERE} --shard {{coat}}", 3, r"synaug images: .*prompts/coat\.json.*", broken.an_edit_does_not_parse),
    (f"images {HERE} --shard {{coat}}", 3, r"synaug images: .*prompts/coat\.json.*plane.*", broken.an_edit_has_an_unknown_key),
    (f"diagnose {HERE}", 3, r"synaug diagnose: no real arm is trained: run `synaug train .* --arm real --seed 0`, or .*", None),
    (f"index {HERE}", 3, r"synaug index: 2 of 2 parts are missing: .*; run `python -m synaug images .* --shard 0`.*", None),
    (f"index {HERE}", 3, r"synaug index: runs/first/synthetic/x1/000-0000\.tar is gone, its manifest is there; .*", broken.manifests_without_tars),
    (f"index {HERE}", 3, r"synaug index: .*000-0000\.tar has another checksum than its manifest says.*", broken.tars_of_another_checksum),
    (f"train {HERE} --arm rael --seed 0", 2, r"synaug train: --arm rael: run 'first' has the arms real, auxbn-1x", None),
    (f"train {HERE} --arm real --seed 5", 2, r"synaug train: --seed 5: run 'first' has the training seeds 0", None),
    (f"train {HERE} --arm auxbn-1x --seed 0", 3, r"synaug train: .*index.*", None),
    (f"train {HERE} --arm real --seed 0", 3, r"synaug train: .*real/train-000000\.tar.*", broken.real_tar_is_truncated),
    (
        f"train {HERE} --arm real --seed 0", 3, r"synaug train: arm real was begun with other settings .*'resnet18' -> 'resnet10t'.*",
        broken.an_arm_begun_with_another_model,
    ),
    (f"train {HERE} --arm real --seed 0", 3, r"synaug train: .*checkpoint\.pt is no checkpoint of synaug .*", broken.a_checkpoint_that_is_none),
    (f"evaluate {HERE} --arm real --seed 0", 3, r"synaug evaluate: arm real, seed 0 is not trained; run `synaug train .*` first", None),
    (f"show bag {HERE}", 2, r"synaug show: 'bag' is no image key; .*like n02012849-0000017", None),
    (f"show bag-0000099 {HERE}", 2, r"synaug show: .*bag-0000099.*", None),
    ("status --store {store} --run other", 3, r"synaug status: run 'other' is not planned in .*", None),
    ("trian --store {store} --run first", 2, r"synaug: no stage or command 'trian'; did you mean train\?; there are plan, prompts, .*", None),
    (f"run {HERE} --scale 6x", 2, r"synaug run: --scale needs --config or --preset: it changes the plan", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return Site(tmp_path_factory.mktemp("site")).build()


@pytest.mark.parametrize(
    ("command", "code", "line", "breaking"), ROWS, ids=[f"{row[0].split()[0]}-{n}" for n, row in enumerate(ROWS)]
)
def test_one_line_the_code_and_an_unchanged_store(site, tmp_path, monkeypatch, capfd, command, code, line, breaking):
    copy = site.copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with monkeypatch.context() as patch:
        if breaking is not None:
            breaking(*([copy, patch] if len(inspect.signature(breaking).parameters) == 2 else [copy]))
        before = copy.content()
        capfd.readouterr()
        coat = next(
            n for n, shard in enumerate(broken.open_run(copy.store, "first")[1].class_shards) if "coat" in shard
        )
        given = main([word.format(folder=tmp_path, store=copy.store.url, coat=coat) for word in command.split()])
    errors = capfd.readouterr().err.splitlines()
    shown = [text for text in errors if not re.match(r"(images|train|index)\S*: \d+/\d+ |Loading weights|$", text)]
    assert [bool(re.fullmatch(line, text)) for text in shown] == [True], errors
    assert given == code
    assert copy.content() == before


def test_debug_shows_the_traceback_too(site, capfd):
    assert main(["status", "--store", site.store.url, "--run", "other", "--debug"]) == 3
    errors = capfd.readouterr().err
    assert errors.startswith("Traceback")
    assert errors.splitlines()[-1].startswith("synaug status: run 'other' is not planned")


def test_a_defect_is_70_and_asks_for_debug(site, capfd, monkeypatch):
    monkeypatch.setattr("synaug.cli.status.open_run", lambda *_: 1 // 0)
    assert main(["status", "--store", site.store.url, "--run", "first"]) == 70
    errors = capfd.readouterr().err
    assert (
        errors
        == "synaug status: unexpected ZeroDivisionError: integer division or modulo by zero (a defect of synaug; --debug shows where)\n"
    )
