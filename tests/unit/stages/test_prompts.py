"""The stage with the embedded LLM and CLIP for real; few lines are sampled, so that it is quick."""

import json
import threading
from dataclasses import replace

import pytest
import torch

from synaug.backends.protocols import Answer
from synaug.config import Config
from synaug.data import layout
from synaug.data.classes import ClassEntry
from synaug.data.split_writer import Sample, pack
from synaug.data.store import open_store
from synaug.embedded.datasets import jpeg, pictures
from synaug.errors import DataError, TransientError
from synaug.prompts import attributes
from synaug.prompts.builder import ClassPromptsBuilder
from synaug.prompts.schema import ATTRIBUTES, ClassPrompts, load_prompts
from synaug.run.job import Job
from synaug.run.plan import Plan
from synaug.run.tokens import TokenCount, spent_tokens
from synaug.stages import prompts
from tests.llm_server import Reply, llm_server, well

NAMES = {"crane-1": "crane", "crane-2": "crane", "sandal": "sandal"}
SHOWN = {"crane-1": 7, "crane-2": 3, "sandal": 5}  # sneakers, dresses and sandals of the embedded photos
PHOTOS = 8


@pytest.fixture(scope="module", autouse=True)
def quick():
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attributes, "LINES", 4)
        patch.setattr(attributes, "ROUNDS", 1)
        patch.setattr(attributes, "LINE_TOKENS", 28)
        yield
    torch.set_num_threads(threads)  # the stage sets its own


def job_in(folder, shards, **settings) -> Job:
    store = open_store(folder / "store", create=True)
    images, labels, _ = pictures("train")
    rows = {
        class_id: [n for n, label in enumerate(labels) if label == shown][:PHOTOS] for class_id, shown in SHOWN.items()
    }
    samples = [Sample(f"{c}-{row}", n, jpeg(images[row])) for n, c in enumerate(NAMES) for row in rows[c]]
    pack(store, "train", samples, classes=list(NAMES))
    plan = Plan(
        digest="",
        classes=[ClassEntry(id=class_id, names=[name]) for class_id, name in NAMES.items()],
        real_counts=dict.fromkeys(NAMES, PHOTOS),
        class_shards=shards,
        part_images=20,
        models=[],
        styles=[],
        scale=1,
        versions={},
    )
    classes = [{"id": class_id, "names": [name]} for class_id, name in NAMES.items()]
    settings = {"prompts": {"sense_images": 4}, "compute": {"device": "cpu"}} | settings
    return Job(store=store, run="first", config=Config(classes=classes, **settings), plan=plan)


def files(job) -> dict[str, bytes]:
    return {key: job.store.get(key) for key in job.store.list(layout.prompts_folder(job.run))}


def made(job, class_id):
    return load_prompts(job.store, job.run, class_id)[0]


def refuse(*arguments, **settings):
    raise AssertionError("a model was opened")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Job:
    job = job_in(tmp_path_factory.mktemp("prompts"), [["crane-1", "sandal"], ["crane-2"]])
    for shard in (1, 0):
        prompts.run(replace(job, shard=shard))
    return job


def test_every_class_gets_a_file_that_reads_well(finished):
    assert list(files(finished)) == [layout.prompts("first", class_id) for class_id in NAMES]
    sandal = made(finished, "sandal")
    assert any("shoe" in sense.definition for sense in sandal.senses) and any(
        not sense.definition for sense in sandal.senses
    )
    assert any(sandal.pools[name] for name in ATTRIBUTES) and "SmolLM2" in sandal.made_by["llm"]
    assert files(finished)[layout.prompts("first", "sandal")].startswith(b'{\n  "class_id": "sandal",\n')


def test_the_bytes_do_not_depend_on_how_classes_are_sharded(finished, tmp_path):
    other = job_in(tmp_path, [["sandal"], ["crane-2", "crane-1"]])
    for shard in (0, 1):
        prompts.run(replace(other, shard=shard))
    assert files(other) == files(finished)


def test_two_classes_of_one_name_have_senses_scored_by_their_own_images_and_pools_of_their_own(finished):
    one, other = made(finished, "crane-1"), made(finished, "crane-2")
    assert (one.class_id, other.class_id, one.name, other.name) == ("crane-1", "crane-2", "crane", "crane")
    scores = [{sense.definition: sense.score for sense in each.senses} for each in (one, other)]
    assert set(scores[0]) == set(scores[1]) and scores[0] != scores[1]
    assert one.pools != other.pools


def test_a_second_call_opens_no_model_and_leaves_an_edit_alone(finished, monkeypatch):
    monkeypatch.setattr("synaug.backends.llm.open_llm", refuse)
    monkeypatch.setattr("synaug.backends.clip.open_clip_model", refuse)
    key = layout.prompts("first", "sandal")
    before = finished.store.get(key)
    edited = json.dumps(json.loads(before) | {"plain": ["a sandal on a shelf"]}).encode()
    finished.store.put(key, edited)
    try:
        prompts.run(replace(finished, shard=0))
        assert finished.store.get(key) == edited and made(finished, "sandal").plain == ["a sandal on a shelf"]
    finally:
        finished.store.put(key, before)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            lambda text: text[:-4],
            r".*prompts/sandal\.json is no JSON any more \(line \d+, .*\); repair it, or delete it .*",
        ),
        (
            lambda text: text.replace('"plain"', '"plane"'),
            r".*prompts/sandal\.json line \d+, field pla(ne|in): .*; repair it, or .*",
        ),
    ],
)
def test_an_edit_that_does_not_parse_is_one_line_and_nothing_is_made(finished, edit, line, monkeypatch):
    monkeypatch.setattr("synaug.backends.llm.open_llm", refuse)
    key = layout.prompts("first", "sandal")
    before = finished.store.get(key)
    finished.store.put(key, edit(before.decode()).encode())
    try:
        with pytest.raises(DataError, match=f"^{line}$"):
            prompts.run(replace(finished, shard=0))
    finally:
        finished.store.put(key, before)


def test_a_deleted_file_alone_is_made_again_with_the_same_bytes(finished, monkeypatch):
    before = files(finished)
    finished.store.delete(layout.prompts("first", "sandal"))
    reported = []
    prompts.run(replace(finished, shard=0, report=reported.append))
    assert files(finished) == before
    assert [(one.done, one.total) for one in reported] == [(1, 2), (2, 2)]


def test_the_context_enters_what_the_llm_reads_and_what_images_are_made_from(tmp_path, monkeypatch):
    from synaug.backends.llm import ChatLLM

    asked, generate = [], ChatLLM.generate
    monkeypatch.setattr(
        ChatLLM, "generate", lambda self, question: asked.append(question.messages) or generate(self, question)
    )
    job = job_in(tmp_path, [["sandal"]], context="aerial photograph", prompts={"senses": False})
    prompts.run(replace(job, shard=0))
    assert made(job, "sandal").plain == ["an aerial photograph of a sandal"]
    assert asked and all("aerial photograph scenes" in prompt for prompt in asked)


def test_a_class_without_a_usable_value_is_counted_as_fallen_back_and_refused_above_the_limit(tmp_path, monkeypatch):
    from synaug.backends.llm import ChatLLM

    monkeypatch.setattr(ChatLLM, "generate", lambda self, question: [Answer("hm")] * question.n)
    job = job_in(tmp_path, [["sandal"]], prompts={"senses": False, "max_fallback": 0.3})
    with pytest.raises(DataError, match=r"1 of 3 classes fell back to the plain name \(sandal\)"):
        prompts.run(replace(job, shard=0))
    assert made(job, "sandal").fallback == ["the LLM gave no usable foreground, background, lighting, angle"]


def test_a_file_that_a_twin_of_this_pod_wrote_first_stays(tmp_path, monkeypatch):
    job = job_in(tmp_path, [list(NAMES)])
    kept = (
        b'{"class_id": "sandal", "name": "sandal", "senses": [], "chosen": "edited", "pools": {}, '
        b'"plain": ["a photo of a sandal"]}'
    )

    class Overtaken(ClassPromptsBuilder):
        def build(self, class_id):
            job.store.put(layout.prompts("first", class_id), kept.replace(b"sandal", class_id.encode()))
            return ClassPrompts(class_id=class_id, name="late", senses=[], chosen="", pools={}, plain=[])

    monkeypatch.setattr("synaug.prompts.builder.ClassPromptsBuilder", Overtaken)
    prompts.run(replace(job, shard=0))
    assert {made(job, class_id).chosen for class_id in NAMES} == {"edited"}


def endpoint_job(tmp_path, server, **llm) -> Job:
    settings = {"model": "tiny", "endpoint": server.url, **llm}
    return job_in(tmp_path, [list(NAMES)], prompts={"llm": settings, "values": 2})


def test_an_endpoint_is_asked_for_many_classes_at_once_and_gives_the_files_of_one_at_a_time(tmp_path):
    came, two_came = iter(range(99)), threading.Event()

    def wait_for_a_second(request):
        if '"reply"' not in json.dumps(request):  # what is asked before all classes
            if next(came) == 1:
                two_came.set()
            two_came.wait(10)
        return well(request)

    files = []
    for folder, concurrency, answer in (("one", 1, well), ("two", 2, wait_for_a_second)):
        with llm_server(answer) as server:
            job = endpoint_job(tmp_path / folder, server, concurrency=concurrency)
            prompts.run(replace(job, shard=0))
            files.append([made(job, class_id) for class_id in NAMES])
            assert server.most >= concurrency
    assert files[0] == files[1] and files[0][0].made_by["asked"].startswith("values by JSON by schema")
    assert files[0][0].pools["angle"] == ["seen from above", "close up"]


def test_tokens_are_counted_with_those_of_a_pass_that_failed_and_what_was_made_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("synaug.backends.endpoint.RETRIES", 0)
    broken = [True]

    def answer(request):
        return Reply(status=503) if "sandal" in str(request["messages"]) and broken[0] else well(request)

    with llm_server(answer) as server:
        job = endpoint_job(tmp_path, server, concurrency=1)
        with pytest.raises(TransientError, match="answers 503"):
            prompts.run(replace(job, shard=0))
        first = spent_tokens(job.store, "first")
        broken[0] = False
        prompts.run(replace(job, shard=0))
        answered = len(server.requests) - 1
    assert first.classes == 2 and first.tokens.input > 0
    both = spent_tokens(job.store, "first")
    assert both.classes == 3 and both.tokens == TokenCount(10 * answered, 5 * answered)
