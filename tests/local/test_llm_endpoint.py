"""A run whose LLM is served elsewhere, by command line: planned, asked, counted; and each bad endpoint in one line."""

import json
import re
import socket

import pytest

from synaug.__main__ import main
from tests.llm_server import Reply, llm_server, well
from tests.local.broken import Site

KEY = "sk-of-a-run-0123456789"
PRICES = ["prompts.llm.price_per_million={input: 1000000, output: 2000000}"]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Site:
    return Site(tmp_path_factory.mktemp("site")).build()


@pytest.fixture
def site(built, tmp_path, monkeypatch) -> Site:
    monkeypatch.setattr("synaug.backends.endpoint.RETRIES", 1)
    return built.copy(tmp_path)


def plan(site, url, *more):
    settings = [f"prompts.llm.endpoint={url}", "prompts.llm.model=tiny", *more]
    return main(["plan", "--config", f"{site.folder}/run.yaml", "--store", site.store.url, "--run", "first", *settings])


def test_a_run_is_planned_asked_and_counted_and_its_key_is_written_nowhere(site, monkeypatch, capfd):
    monkeypatch.setenv("LLM_KEY", KEY)
    with llm_server(key=KEY) as server:
        assert plan(site, server.url, "prompts.llm.api_key_env=LLM_KEY", *PRICES) == 0
        planned = capfd.readouterr()
        assert "values by JSON by schema; senses listed by the LLM" in planned.out
        assert "4 classes left to ask about; tokens unmeasured" in planned.out
        here = ["--store", site.store.url, "--run", "first"]
        assert main(["prompts", *here, "--shard", "0", "--debug"]) == 0
        asked = len(server.requests)
        assert plan(site, server.url, "prompts.llm.api_key_env=LLM_KEY", *PRICES) == 0
        again = capfd.readouterr()
        assert len(server.requests) == asked, "a run that goes on asks nothing to be planned"
    assert main(["status", *here, "--json"]) == 0
    status = json.loads((shown := capfd.readouterr()).out)
    read, written = status["llm"]["tokens"]["input"], status["llm"]["tokens"]["output"]
    assert read > 0 and read == 2 * written
    assert status["llm"]["text"].endswith(f"cost {read + 2 * written:,}.00")
    left = re.search(r"(\d) classes left to ask about; (.*) tokens read, .* cost", again.out)
    assert left and int(left[1]) == 4 - len(
        [path for path in site.content() if str(path).startswith("runs/first/prompts/")]
    )
    said = "".join([*planned, *again, *shown])
    kept = "".join(repr(content) for content in site.content().values())
    assert KEY in server.keys and KEY not in said and KEY not in kept
    assert "api_key_env: LLM_KEY" in kept


def test_another_endpoint_of_the_same_model_goes_on_with_the_run_and_another_model_is_another_run(site):
    with llm_server() as server:
        assert plan(site, server.url) == 0
        assert main(["prompts", "--store", site.store.url, "--run", "first", "--shard", "0"]) == 0
    with llm_server(models=("tiny", "other")) as moved:
        assert plan(site, moved.url, "prompts.llm.concurrency=3") == 0
        assert plan(site, moved.url, "prompts.llm.model=other") == 3


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


BAD = [
    ("down", {}, [], 170, r"LLM endpoint \S+ is out of reach .*"),
    ("key", {"key": "another"}, ["prompts.llm.api_key_env=LLM_KEY"], 4, r"LLM endpoint .* refuses the key \(401\); .*"),
    (
        "no key",
        {"key": "another"},
        [],
        4,
        r".* refuses the key \(401\); .* in prompts\.llm\.api_key_env",
    ),
    ("unset", {}, ["prompts.llm.api_key_env=UNSET_KEY"], 4, r"prompts\.llm\.api_key_env: UNSET_KEY is not set; .*"),
    ("model", {"models": ("big",)}, [], 4, r".* serves no 'tiny'; set prompts\.llm\.model to one of big"),
    ("no chat", {"answer": lambda request: Reply(body=["hm"])}, [], 4, r".* answers no chat completion .*"),
    ("busy", {"answer": lambda request: Reply(status=503)}, [], 170, r".* answers 503 after 1 more tries .*"),
    ("a key for its name", {}, [f"prompts.llm.api_key_env={KEY}"], 2, r".*it is no name of an environment variable.*"),
    ("in the URL", {}, [f"prompts.llm.endpoint=http://me:{KEY}@host/v1"], 2, r".*a URL is written to run\.yaml.*"),
    ("embedded", {}, ["prompts.llm.model=embedded"], 2, r".*an endpoint needs prompts\.llm\.model.*"),
]


@pytest.mark.parametrize(("name", "served", "more", "code", "line"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_endpoint_is_one_line_with_its_code_and_no_key(site, monkeypatch, capfd, name, served, more, code, line):
    monkeypatch.setenv("LLM_KEY", KEY)
    before = site.content()
    capfd.readouterr()
    with llm_server(**served) as server:
        given = plan(site, closed_port() if name == "down" else server.url, *more)
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1 and re.fullmatch(f"synaug plan: {line}", errors[0]), errors
    assert given == code and site.content() == before
    assert KEY not in errors[0]


def test_answers_without_json_are_counted_as_fallen_back(site):
    with llm_server(lambda request: Reply("I would rather not.")) as server:
        assert plan(site, server.url, "prompts.max_fallback=0.1") == 0
        assert main(["prompts", "--store", site.store.url, "--run", "first", "--shard", "0"]) == 3
    assert well({"messages": [{"content": ""}]}).content
