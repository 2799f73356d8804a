"""A run whose images were drawn instead of generated: real tars and manifests, for what reads them."""

from dataclasses import replace

from synaug.config import Config
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.manifest import Manifest, Reject
from synaug.data.seeding import key_of
from synaug.data.webdataset import TarWriter
from synaug.run.job import Job
from synaug.run.plan import ModelInfo, Plan
from tests.pictures import jpeg

NAMES = {"n02012849": "crane", "n03126707": "crane", "owl": "owl"}  # two of one name
COUNTS = {"n02012849": 10, "n03126707": 10, "owl": 7}
KINDS = ("plain", "cd", "sd")


def made_job(store, *, scale: int = 2, run: str = "made", counts: dict[str, int] = COUNTS, **settings) -> Job:
    """Two class shards, parts of eight images."""
    plan = Plan(
        digest="d1",
        classes=[ClassEntry(id=class_id, names=[NAMES[class_id]]) for class_id in NAMES],
        real_counts=counts,
        class_shards=[["n02012849", "owl"], ["n03126707"]],
        part_images=8,
        styles=[],
        scale=scale,
        versions={},
        models=[
            ModelInfo(role="diffusion", name="painter", revision="r1", license="MIT"),
            ModelInfo(role="llm", name="poet", revision="r2", license="Apache-2.0"),
        ],
    )
    classes = [{"id": class_id, "names": [name]} for class_id, name in NAMES.items()]
    return Job(store=store, run=run, config=Config(classes=classes, scale=f"{scale}x", **settings), plan=plan)


def with_scale(job: Job, scale: int) -> Job:
    return replace(job, plan=job.plan.model_copy(update={"scale": scale}))


def planned(job: Job):
    shards, multiples = range(len(job.plan.class_shards)), range(1, job.plan.scale + 1)
    return [part for multiple in multiples for shard in shards for part in job.plan.parts(job.config, shard, multiple)]


def make_images(job: Job, folder, *, lost: tuple[str, ...] = (), edited: tuple[int, ...] = ()) -> list[str]:
    """Publish every planned part. edited: multiples made with another prompts file. Returns the manifests' keys."""
    keys = []
    for part in planned(job):
        images = [(class_id, index) for class_id, index in part.images if key_of(class_id, index) not in lost]
        with TarWriter(folder / "part.tar") as writer:
            for class_id, index in images:
                metadata = {"prompt": f"a photo of a {NAMES[class_id]}", "kind": KINDS[index % 3]}
                writer.add(
                    key_of(class_id, index),
                    jpeg(index),
                    job.plan.labels[class_id],
                    text=metadata["prompt"],
                    metadata=metadata,
                )
            columns = writer.close()
        tar = layout.synthetic_tar(job.run, part.multiple, part.shard, part.number)
        given_up = [key_of(*image) for image in part.images if image not in images]
        manifest = Manifest(
            tar=tar,
            **columns,
            class_id=[class_id for class_id, _ in images],
            kind=[KINDS[index % 3] for _, index in images],
            clip_score=[round(0.1 + index % 10 / 50, 4) for _, index in images],
            attempt=[0] * len(images),
            lost=given_up,
            rejects=[Reject(key=key, attempt=attempt, reason="black") for key in given_up for attempt in range(3)],
            batch_size=4,
            threads=1,
            model="painter@r1",
            versions={},
            prompts_sha256={class_id: "edited" if part.multiple in edited else "first" for class_id, _ in part.images},
        )
        job.store.put(tar, folder / "part.tar")
        keys.append(layout.synthetic_manifest(job.run, part.multiple, part.shard, part.number))
        job.store.put(keys[-1], manifest.model_dump_json().encode())
    return keys
