"""The prompts files of one class shard: what each name means, and what its images shall show.

torch and the models are imported when there is something to make.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from synaug.data import layout
from synaug.prompts.fallback_limit import refuse_fallbacks
from synaug.prompts.schema import load_prompts
from synaug.run import outputs
from synaug.run.completion import Completion
from synaug.run.job import Job, Progress
from synaug.run.plan import check_planned
from synaug.run.tokens import TokensOfClasses

HELP = "let LLM and CLIP settle what each class name means, and write the pools that prompts are drawn from"
EPILOG = """\
reads    run.yaml and plan.json of the run, some real training images; the LLM and CLIP weights
writes   prompts/{class_id}.json, made to be read and edited: an edit applies to image parts not yet begun
needs    a planned run. Classes with a file are skipped; delete a file to have it made again
example  synaug prompts --store file:///data/store --run first --shard 0
"""


def run(job: Job) -> None:
    """Write the prompts files that are missing of the job's class shard, or of all.

    Raises DataError for an edited file that does not parse and above prompts.max_fallback; ModelError.
    """
    shards = range(len(job.plan.class_shards)) if job.shard is None else [job.shard]
    began, files = time.perf_counter(), []
    for shard in shards:
        completion = Completion(job.store, job.run, job.config, job.plan)  # as it is now: others may work on this run
        classes, missing = job.plan.class_shards[shard], completion.missing_prompts(shard)
        for class_id in classes:
            if class_id not in missing:  # an edit that does not parse is reported before the models are loaded
                load_prompts(job.store, job.run, class_id)
        if missing:
            _make(job, shard, missing, len(classes))
        job.report(Progress("prompts", f"prompts-{shard:03d}", len(classes), len(classes), "class"))
        files += [load_prompts(job.store, job.run, class_id)[0] for class_id in classes]
    outputs.write(
        "summary",
        {
            "classes": len(files),
            "fallbacks": sum(bool(prompts.fallback) for prompts in files),
            "flagged": sum(prompts.flagged for prompts in files),
            "seconds": round(time.perf_counter() - began, 3),
        },
    )
    refuse_fallbacks(job)


def _make(job: Job, shard: int, missing: list[str], total: int) -> None:
    began = time.perf_counter()
    import torch

    from synaug.backends.clip import open_clip_model
    from synaug.backends.llm import open_llm
    from synaug.prompts.builder import ClassPromptsBuilder

    start = time.perf_counter()
    torch.set_num_threads(job.config.threads)
    llm, clip = open_llm(job.config), open_clip_model(job.config)
    check_planned(job.plan, llm.info, clip.info)
    builder = ClassPromptsBuilder(job.store, job.config, job.plan, llm, clip)
    before = llm.tokens
    at_once = llm.capabilities.concurrency  # asks an endpoint what it takes, before there are threads
    loading = time.perf_counter() - start
    made = 0

    def build(class_id: str) -> None:
        text = builder.build(class_id).model_dump_json(indent=2) + "\n"
        # a twin of this pod, presumed lost and alive, may have been quicker, and its file edited or used
        job.store.put(layout.prompts(job.run, class_id), text.encode(), if_absent=True)

    try:
        for _ in _each(build, missing, at_once):
            job.report(Progress("prompts", f"prompts-{shard:03d}", total - len(missing) + made, total, "class"))
            made += 1
    finally:
        spent = llm.tokens - before
        if made or spent.input:  # paid for, also of a shard that fails midway
            seconds = time.perf_counter() - began
            _record(job, shard, made, TokensOfClasses(spent, made), load=loading, seconds=seconds)


def _record(job: Job, shard: int, made: int, tokens: TokensOfClasses, *, load: float, seconds: float) -> None:
    """Write the timing of this pass, and the tokens of all."""
    key = layout.timing(job.run, "prompts", f"{shard:03d}")
    before = json.loads(job.store.get(key)) if job.store.exists(key) else {}
    timing = {
        "seconds": round(seconds, 3),
        "classes": made,
        "phases": {"load": round(load, 3)},
        "rate": round(made / seconds, 4),
    }
    timing |= (TokensOfClasses.read(before) + tokens).record()
    job.store.put(key, json.dumps(timing, indent=1).encode())


def _each(build: Callable[[str], None], class_ids: list[str], at_once: int) -> Iterator[None]:
    """Build class by class, or many at once; the first failure ends it, and what was begun is waited for."""
    if at_once == 1:
        yield from map(build, class_ids)
        return
    pool = ThreadPoolExecutor(at_once, "prompts")
    try:
        for done in as_completed([pool.submit(build, class_id) for class_id in class_ids]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)
