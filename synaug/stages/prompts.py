"""The prompts files of one class shard: what each name means, and what its images shall show."""

from synaug.run.job import Job, Progress

HELP = "let LLM and CLIP settle what each class name means, and write the pools that prompts are drawn from"
EPILOG = """\
reads    run.yaml and plan.json of the run, some real training images; the LLM and CLIP weights
writes   prompts/{class_id}.json, made to be read and edited: an edit applies to image parts not yet begun
needs    a planned run. Classes with a file are skipped; delete a file to have it made again
example  synaug prompts --store file:///data/store --run first --shard 0
"""


def run(job: Job) -> None:
    """Makes what is missing. Raises DataError for an edited file that does not parse and above prompts.max_fallback; ModelError."""
    import json
    import time

    from synaug.data import layout
    from synaug.prompts.schema import load_prompts
    from synaug.prompts.fallback_limit import refuse_fallbacks
    from synaug.run import outputs

    shards = range(len(job.plan.class_shards)) if job.shard is None else [job.shard]
    began, files = time.perf_counter(), []
    for shard in shards:
        classes = job.plan.class_shards[shard]
        missing = [class_id for class_id in classes if not job.store.exists(layout.prompts(job.run, class_id))]
        for class_id in classes:
            if class_id not in missing:
                load_prompts(
                    job.store, job.run, class_id
                )  # an edit that does not parse is said before the models are loaded
        start = time.perf_counter()
        if missing:
            loading = _make(job, shard, missing, len(classes))
            timing = {
                "seconds": round(time.perf_counter() - start, 3),
                "classes": len(missing),
                "phases": {"load": round(loading, 3)},
            }
            timing["rate"] = round(len(missing) / timing["seconds"], 4)
            job.store.put(layout.timing(job.run, "prompts", f"{shard:03d}"), json.dumps(timing, indent=1).encode())
        job.report(Progress("prompts", f"prompts-{shard:03d}", len(classes), len(classes), "class"))
        files += [load_prompts(job.store, job.run, class_id)[0] for class_id in classes]
    outputs.write(
        "summary",
        {
            "classes": len(files),
            "fallbacks": sum(bool(one.fallback) for one in files),
            "flagged": sum(one.flagged for one in files),
            "seconds": round(time.perf_counter() - began, 3),
        },
    )
    refuse_fallbacks(job)


def _make(job: Job, shard: int, missing: list[str], total: int) -> float:
    """Returns the seconds in which the models were loaded."""
    import time

    import torch

    from synaug.backends.clip import open_clip_model
    from synaug.backends.llm import open_llm
    from synaug.data import layout
    from synaug.prompts.builder import ClassPromptsBuilder
    from synaug.run.pinned import check_planned

    torch.set_num_threads(job.config.threads)
    start = time.perf_counter()
    llm, clip = open_llm(job.config), open_clip_model(job.config)
    check_planned(job.plan, llm.info, clip.info)
    maker = ClassPromptsBuilder(job.store, job.config, job.plan, llm, clip)
    loading = time.perf_counter() - start
    for n, class_id in enumerate(missing):
        job.report(Progress("prompts", f"prompts-{shard:03d}", total - len(missing) + n, total, "class"))
        made = maker.build(class_id)
        # a twin of this pod, presumed lost and alive, may have been quicker, and its file edited or used
        job.store.put(
            layout.prompts(job.run, class_id), (made.model_dump_json(indent=2) + "\n").encode(), if_absent=True
        )
    return loading
