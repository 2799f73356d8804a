"""The data set of a run: every planned image is there or listed as lost, or it refuses and says what fills the gap."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from synaug.data import layout
from synaug.data.index import Index, IndexedPart
from synaug.data.manifest import Manifest
from synaug.data.seeding import key_of
from synaug.data.store import Store
from synaug.errors import DataError
from synaug.prompts.fallback_limit import refuse_fallbacks
from synaug.reporting.dataset_card import card, timm_info
from synaug.run.completion import Completion
from synaug.run.job import Job, Progress
from synaug.run.quotas import Part

HELP = "check that the set is complete and undamaged, and write its index and card"
EPILOG = """\
reads    runs/RUN/plan.json, every manifest and tar of runs/RUN/synthetic/ up to the planned scale
writes   runs/RUN/index.json, README.md (the data-set card) and _info.json (for timm)
needs    the images stage of every class shard

Set index.min_clip_score to leave out images whose stored CLIP score is lower; nothing is generated again.

example  python -m synaug index --store /data/store --run birds
"""
CHUNK = 16 << 20


def run(job: Job) -> None:
    """Check every planned part and write index, card and timm's file. Raises DataError for a gap or a damaged part."""
    began = time.perf_counter()
    store, plan, completion = job.store, job.plan, Completion(job.store, job.run, job.config, job.plan)
    shards = range(len(plan.class_shards))
    planned = [part for m in range(1, plan.scale + 1) for shard in shards for part in plan.parts(job.config, shard, m)]
    refuse_fallbacks(job)
    _refuse_gaps(job, completion.missing_parts(planned), len(planned))
    known = {part["manifest"]: part["manifest_sha256"] for part in completion.index.get("parts", ())}
    index = IndexBuilder(job)
    for done, part in enumerate(planned):
        job.report(Progress("index", "index", done, len(planned), "part"))
        index.add(part, completion.manifest(part), known)
    job.report(Progress("index", "index", len(planned), len(planned), "part"))
    result = index.build()
    store.put(layout.card(job.run), card(job, result).encode())
    store.put(layout.timm_info(job.run), timm_info(result).encode())
    store.put(layout.index(job.run), result.model_dump_json(indent=1).encode())
    timing = {"seconds": round(time.perf_counter() - began, 3), "phases": {}, "parts": len(planned)}
    store.put(layout.timing(job.run, "index", "all"), json.dumps(timing).encode())


class IndexBuilder:
    """Sums up the parts, each checked as it comes."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.parts: list[IndexedPart] = []
        self.images: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.left_out: dict[str, Counter[str]] = defaultdict(Counter)
        self.rejects: Counter[str] = Counter()
        self.lost: list[str] = []
        self.truncated = 0
        self.prompts: dict[str, Counter[str]] = defaultdict(Counter)
        self.models: set[str] = set()
        self.batch_sizes: set[int] = set()

    def add(self, part: Part, key: str, known: dict[str, str]) -> None:
        """Check a part and count its images. Raises DataError.

        key: of its manifest. known: manifest key to digest of the parts whose tars an earlier index read in full: of
        those only the size is checked again.
        """
        store, least = self.job.store, self.job.config.index.min_clip_score
        data = store.get(key)
        digest = hashlib.sha256(data).hexdigest()
        manifest = Manifest.model_validate_json(data)
        remake = f"delete {store.url}/{key} and its tar, and run `{images_command(self.job, part.shard)}`"
        _check_rows(part, manifest, key, remake)
        _check_tar(store, manifest, known.get(key) == digest, remake)
        kept = 0
        for class_id, kind, score in zip(manifest.class_id, manifest.kind, manifest.clip_score, strict=True):
            if least is None or score >= least:
                self.images[f"x{part.multiple}"][class_id][kind] += 1
                kept += 1
            else:
                self.left_out[class_id][kind] += 1
            self.prompts[class_id][manifest.prompts_sha256[class_id]] += 1
        self.rejects.update(reject.reason for reject in manifest.rejects)
        self.lost += manifest.lost
        self.truncated += manifest.truncated_prompts
        self.models.add(manifest.model)
        self.batch_sizes.add(manifest.batch_size)
        self.parts.append(
            IndexedPart(
                multiple=part.multiple,
                shard=part.shard,
                part=part.number,
                manifest=key,
                manifest_sha256=digest,
                tar=manifest.tar,
                sha256=manifest.sha256,
                bytes=manifest.bytes,
                images=len(manifest.key),
                kept=kept,
            )
        )

    def build(self) -> Index:
        """Return the index of all parts that were added."""
        order = [entry.id for entry in self.job.plan.classes]

        def by_class(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
            return {class_id: dict(sorted(counts[class_id].items())) for class_id in order if class_id in counts}

        return Index(
            run=self.job.run,
            digest=self.job.plan.digest,
            scale=self.job.plan.scale,
            min_clip_score=self.job.config.index.min_clip_score,
            parts=self.parts,
            images={multiple: by_class(counts) for multiple, counts in self.images.items()},
            left_out=by_class(self.left_out),
            rejects=dict(sorted(self.rejects.items())),
            lost=sorted(self.lost),
            truncated_prompts=self.truncated,
            prompts=by_class(self.prompts),
            model=sorted(self.models),
            batch_sizes=sorted(self.batch_sizes),
        )


def images_command(job: Job, shard: int) -> str:
    """Return the command that makes the missing parts of a class shard."""
    return f"python -m synaug images --store {job.store.url} --run {job.run} --shard {shard}"


def _refuse_gaps(job: Job, missing: list[Part], planned: int) -> None:
    gaps: dict[int, list[str]] = defaultdict(list)
    for part in sorted(missing, key=lambda part: part.multiple):
        gaps[part.shard].append(f"x{part.multiple}/{part.shard:03d}-{part.number:04d}")
    if gaps:
        first = next(iter(gaps))
        shown = "; ".join(f"shard {shard} lacks {_some(names)}" for shard, names in list(gaps.items())[:3])
        others = (
            f", and the same with --shard {_some([str(shard) for shard in gaps if shard != first], 20)}"
            if len(gaps) > 1
            else ""
        )
        raise DataError(
            f"{len(missing)} of {planned} parts are missing: {shown}; run `{images_command(job, first)}`{others}"
        )


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _check_rows(part: Part, manifest: Manifest, key: str, remake: str) -> None:
    wanted, have = Counter(key_of(*image) for image in part.images), Counter(manifest.key + manifest.lost)
    if wanted != have:
        missing, extra = list((wanted - have).elements()), list((have - wanted).elements())
        what = f"lacks {_some(missing)}" if missing else f"holds {_some(extra)}, which the plan does not"
        raise DataError(f"{key} {what}; {remake}")


def _check_tar(store: Store, manifest: Manifest, known: bool, remake: str) -> None:
    if not store.exists(manifest.tar):
        raise DataError(f"{manifest.tar} is gone, its manifest is there; {remake}")
    size = store.size(manifest.tar)
    if size != manifest.bytes:
        raise DataError(f"{manifest.tar} has {size} bytes, its manifest says {manifest.bytes}; {remake}")
    if known:
        return
    digest = hashlib.sha256()
    for chunk in _chunks(store, manifest.tar, size):
        digest.update(chunk)
    if digest.hexdigest() != manifest.sha256:
        raise DataError(
            f"{manifest.tar} has another checksum than its manifest says: it was changed or damaged; {remake}"
        )


def _chunks(store: Store, key: str, size: int) -> Iterator[bytes]:
    for start in range(0, size, CHUNK):
        yield store.get(key, start=start, length=min(CHUNK, size - start))
