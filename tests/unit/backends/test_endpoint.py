"""An endpoint's answers and faults, against a server on loopback."""

import socket
import threading
import traceback

import pytest

from synaug.backends import endpoint
from synaug.backends.endpoint import EndpointLLM
from synaug.backends.protocols import Question
from synaug.backends.resolve import resolve_llm
from synaug.config import Config
from synaug.errors import ModelError, TransientError
from synaug.run.tokens import TokenCount
from tests.llm_server import Reply, llm_server, well

KEY = "sk-secret-of-a-test-0123456789"
ASKED = Question(messages=[{"role": "user", "content": "say it"}], seed=7, max_tokens=32, schema={"type": "object"})


def settings(server, **more):
    return Config.model_validate({"prompts": {"llm": {"model": "tiny", "endpoint": server.url, **more}}}).prompts.llm


def opened(server, **more):
    return EndpointLLM(settings(server, **more))


@pytest.fixture(autouse=True)
def few_retries(monkeypatch):
    monkeypatch.setattr(endpoint, "RETRIES", 2)


def test_n_answers_are_n_requests_with_a_seed_each_and_the_settings_of_the_run():
    with llm_server() as server:
        llm = opened(server, temperature=0.5, top_p=0.9)
        answers = llm.generate(Question(messages=ASKED.messages, seed=2**62 + 5, max_tokens=32, n=3))
    asked = server.requests[-3:]
    assert len(answers) == 3 and len({request["seed"] for request in asked}) == 3
    assert all(request["seed"] < 2**31 and "n" not in request for request in asked)
    assert {(r["model"], r["temperature"], r["top_p"], r["max_tokens"]) for r in asked} == {("tiny", 0.5, 0.9, 32)}


def test_a_server_that_takes_a_schema_is_given_it():
    with llm_server() as server:
        llm = opened(server)
        llm.generate(ASKED)
        assert llm.capabilities.json == "schema" and len(server.requests) == 2
    assert server.requests[-1]["response_format"]["json_schema"]["schema"] == ASKED.schema


def ignores(request):
    return Reply("How kind you are!")


def breaks_on_any_format(request):
    """As llama-cpp-python does."""
    return Reply(status=500) if "response_format" in request else Reply("Hello.")


def takes_objects(request):
    kind = request.get("response_format", {}).get("type")
    return Reply(status=400) if kind == "json_schema" else Reply('{"kind": "word"}')


@pytest.mark.parametrize(
    ("answer", "form"), [(ignores, "text"), (breaks_on_any_format, "text"), (takes_objects, "object")]
)
def test_what_a_server_does_not_take_or_ignores_is_not_asked_for_again(answer, form):
    with llm_server(answer) as server:
        llm = opened(server)
        assert llm.capabilities.json == form
        llm.generate(ASKED)
    last = server.requests[-1]
    assert last.get("response_format", {}).get("type") == (None if form == "text" else "json_object")


def test_an_answer_at_the_limit_is_cut_and_tokens_are_counted():
    with llm_server(lambda request: Reply("no more th", finish="length")) as server:
        llm = opened(server)
        _ = llm.capabilities
        before = llm.tokens
        (answer,) = llm.generate(ASKED)
    assert answer.cut and answer.tokens == TokenCount(10, 5) and llm.tokens == before + TokenCount(10, 5)


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it():
    def newer(request):
        if "max_tokens" in request:
            return Reply(status=400, body={"error": {"message": "Use 'max_completion_tokens' instead."}})
        return well(request)

    with llm_server(newer) as server:
        llm = opened(server)
        llm.generate(ASKED)
        refused = sum("max_tokens" in request for request in server.requests)
    assert refused == 1 and server.requests[-1]["max_completion_tokens"] == 32


def fails_first(times, **reply):
    left = [times]

    def answer(request):
        if request["messages"] == ASKED.messages and left[0] > 0:
            left[0] -= 1
            return Reply(**reply)
        return well(request)

    return answer


@pytest.mark.parametrize("reply", [{"status": 429, "headers": {"Retry-After": "0.01"}}, {"status": 503}])
def test_busy_servers_are_waited_for(reply):
    with llm_server(fails_first(2, **reply)) as server:
        assert opened(server).generate(ASKED)[0].text


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_stays_busy_is_transient(status):
    with (
        llm_server(fails_first(99, status=status, headers={"Retry-After": "0.01"})) as server,
        pytest.raises(TransientError, match=f"answers {status} after 2 more tries"),
    ):
        opened(server).generate(ASKED)


def test_a_server_that_is_down_is_transient():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    config = Config.model_validate({"prompts": {"llm": {"model": "tiny", "endpoint": url}}})
    with pytest.raises(TransientError, match=r"is out of reach .*prompts.llm.endpoint"):
        resolve_llm(config)


def test_a_slow_answer_is_given_up_after_the_time_that_is_set():
    never = threading.Event()
    with llm_server(lambda request: Reply("late", wait=never)) as server:
        with pytest.raises(TransientError, match=r"no answer within 0.2 s"):
            _ = opened(server, timeout=0.2).capabilities
        never.set()


def test_another_model_is_refused_with_those_that_are_served():
    with (
        llm_server(models=("big", "bigger")) as server,
        pytest.raises(ModelError, match=r"serves no 'tiny'.*big, bigger"),
    ):
        _ = opened(server).capabilities


def test_without_a_list_an_unknown_model_is_known_by_the_first_question():
    unknown = {"error": {"message": "The model `tiny` does not exist."}}
    with (
        llm_server(lambda request: Reply(status=404, body=unknown), models=None) as server,
        pytest.raises(ModelError, match=r"knows no model 'tiny'.*does not exist"),
    ):
        _ = opened(server).capabilities


def test_what_is_no_chat_completion_is_refused():
    with (
        llm_server(lambda request: Reply(body={"hello": "world"})) as server,
        pytest.raises(ModelError, match=r"OpenAI-compatible"),
    ):
        _ = opened(server).capabilities


def test_the_key_is_sent_and_no_other_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("LLM_KEY", KEY)
    with llm_server(key=KEY) as server:
        opened(server, api_key_env="LLM_KEY").generate(ASKED)
    with llm_server() as open_server:
        opened(open_server).generate(ASKED)
    assert server.keys == {KEY} and open_server.keys == {"none"}


def test_a_refused_key_is_shown_nowhere(monkeypatch, caplog):
    monkeypatch.setenv("LLM_KEY", KEY)
    caplog.set_level("DEBUG")
    with llm_server(key="another") as server:
        llm = opened(server, api_key_env="LLM_KEY")
        with pytest.raises(ModelError, match=r"refuses the key .401.*LLM_KEY") as caught:
            _ = llm.capabilities
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(llm) + repr(vars(llm))
    assert KEY in server.keys and KEY not in shown


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_server_that_repeats_the_key_in_its_errors_does_not_make_us_show_it(monkeypatch, status):
    monkeypatch.setenv("LLM_KEY", KEY)
    body = {"error": {"message": f"request with {KEY} failed"}}
    with (
        llm_server(lambda request: Reply(status=status, body=body)) as server,
        pytest.raises((ModelError, TransientError)) as caught,
    ):
        _ = opened(server, api_key_env="LLM_KEY").capabilities
    shown = "".join(traceback.format_exception(caught.value))
    assert "request with [key] failed" in shown and KEY not in shown


def test_a_key_that_is_not_set_is_said():
    with llm_server() as server, pytest.raises(ModelError, match=r"NO_SUCH_KEY is not set"):
        _ = opened(server, api_key_env="NO_SUCH_KEY").capabilities


def test_the_model_is_part_of_what_a_run_is_and_where_it_is_served_is_not():
    with llm_server() as one, llm_server() as other:
        configs = [
            Config.model_validate({"prompts": {"llm": settings(server).model_dump()}}) for server in (one, other)
        ]
        infos = [resolve_llm(config) for config in configs]
    assert infos[0] == infos[1] and infos[0].name == "tiny"
