"""The share of classes that fell back to their plain name, and its limit: stages ask before they spend on them."""

from concurrent.futures import ThreadPoolExecutor

from synaug.data import layout
from synaug.errors import DataError
from synaug.prompts.schema import load_prompts
from synaug.run.job import Job

READERS = 16  # threads; a thousand classes are a thousand small objects


def find_fallen_classes(job: Job) -> list[str]:
    """List the ids of the run's classes whose prompts file, as it is now, says that something fell back.

    Classes without a file are left out.
    """
    existing = set(job.store.list(layout.prompts_folder(job.run)))
    ids = [entry.id for entry in job.plan.classes if layout.prompts(job.run, entry.id) in existing]
    with ThreadPoolExecutor(READERS) as readers:
        files = readers.map(lambda class_id: load_prompts(job.store, job.run, class_id).prompts, ids)
        return [prompts.class_id for prompts in files if prompts.fallback]


def refuse_fallbacks(job: Job) -> None:
    """Raise DataError above `prompts.max_fallback` of all classes, and for a prompts file that does not parse."""
    limit, total = job.config.prompts.max_fallback, len(job.plan.classes)
    if limit >= 1:
        return
    fallen = find_fallen_classes(job)
    if len(fallen) > limit * total:
        more = ", ..." if len(fallen) > 5 else ""
        raise DataError(
            f"{len(fallen)} of {total} classes fell back to the plain name ({', '.join(fallen[:5])}{more}), "
            f"prompts.max_fallback allows {limit:g} of them; edit their files in "
            f"{job.store.url}/{layout.prompts_folder(job.run)} and empty `fallback` there, or plan another --run with "
            "a gloss for them or a higher limit"
        )
