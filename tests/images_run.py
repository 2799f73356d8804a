"""A run of a few classes with prompts files, ready for the images stage."""

from synaug.config import Config
from synaug.config.images import Images
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts
from synaug.run.job import Job
from synaug.run.plan import Plan

NAMES = {"boot": "ankle boot", "bag": "bag", "shirt": "t-shirt"}
POOLS = {
    "foreground": ["a single one", "worn out"],
    "background": ["on a sandy beach", "in the snow", "on a red background"],
    "lighting": ["in soft light", "in dim light"],
    "angle": ["seen from the side", "in close-up"],
}
assert set(POOLS) == set(ATTRIBUTES)


def class_prompts(class_id: str, **changed) -> ClassPrompts:
    name = NAMES[class_id]
    return ClassPrompts(
        **{
            "class_id": class_id,
            "name": name,
            "senses": [],
            "chosen": "",
            "pools": POOLS,
            "plain": [f"a photo of a {name}"],
        }
        | changed
    )


def put_prompts(store, class_id: str, run: str = "first", **changed) -> None:
    store.put(layout.prompts(run, class_id), class_prompts(class_id, **changed).model_dump_json(indent=1).encode())


def images_job(
    store, *, images: int = 12, scale: int = 1, part_images: int = 20, run: str = "first", **settings
) -> Job:
    """`images` of each of three classes, one class shard; the prompts files written."""
    for class_id in NAMES:
        put_prompts(store, class_id, run)
    settings = {"profile": "embedded", "batch_size": 8, "guidance_scale_diversified": 1.5, **settings}
    plan = Plan(
        digest="",
        classes=[ClassEntry(id=class_id, names=[name]) for class_id, name in NAMES.items()],
        real_counts=dict.fromkeys(NAMES, images),
        class_shards=[list(NAMES)],
        part_images=part_images,
        models=[],
        styles=["watercolour painting", "line drawing"],
        scale=scale,
        versions={},
    )
    return Job(store=store, run=run, config=Config(images=Images(**settings), classes=[]), plan=plan, shard=0)


def write_plan(job: Job) -> None:
    """So that commands find the run."""
    from synaug.config.load import dump_config

    job.store.put(layout.run_yaml(job.run), dump_config(job.config).encode())
    job.store.put(layout.plan(job.run), job.plan.model_dump_json().encode())


def write_photos(store, per_class: int = 5) -> None:
    """The split `train`: photos of one colour, one colour per class."""
    from PIL import Image

    from synaug.data.split_writer import Sample, pack
    from synaug.generation.postprocess import to_jpeg

    colours = ("red", "green", "blue")
    samples = [
        Sample(f"{class_id}-{n}", label, to_jpeg(Image.new("RGB", (32, 32), colours[label]), quality=92))
        for label, class_id in enumerate(NAMES)
        for n in range(per_class)
    ]
    pack(store, "train", samples, classes=list(NAMES))
