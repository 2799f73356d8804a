"""Which failures Argo tries again: the expression as expr-lang means it; tests/cluster lets Argo read it."""

import re

import pytest

from pipelines.workflow.pods import RETRIED, retries

CASES = [
    # exit code, message of the attempt, retries before, tried again
    ("-1", "pod deleted", 0, True),
    ("-1", "The node was low on resource: memory.", 5, True),
    ("-1", "Pod was terminated in response to imminent node shutdown.", 0, True),
    (
        "-1",
        'pods "a-1" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        0,
        False,
    ),
    (
        "-1",
        'pods "a-1" is forbidden: error looking up service account synaug/x: serviceaccount "x" not found',
        0,
        False,
    ),
    ("-1", 'Pod "a-1" is invalid: spec.containers[1].resources.requests: Invalid value: "8"', 0, False),
    ("64", "main: Error (exit code 64)", 0, True),
    ("137", "main: OOMKilled (exit code 137)", 0, True),
    ("137", "main: OOMKilled (exit code 137)", 1, True),
    ("137", "main: OOMKilled (exit code 137)", 2, False),
    ("137", "main: OOMKilled (exit code 137)", 7, False),  # after preemptions, too: Argo's count is of all causes
    ("137", "main: Error (exit code 137)", 0, True),
    ("137", "main: Error (exit code 137)", 7, True),  # a node that takes no time to end its pods
    ("137", "main: Error (exit code 137): the line says OOMKilled", 7, True),
    ("-1", "The node was low on resource: memory. Container main was using 9Gi, OOMKilled", 7, True),
    ("143", "main: Error (exit code 143)", 19, True),
    ("143", "Pod was active on the node longer than the specified deadline", 0, False),
    ("170", "main: Error (exit code 170): s3://bucket did not answer for 5 minutes", 0, True),
    ("170", "main: Error (exit code 170): s3://bucket says that the request is invalid", 0, True),
    *((code, f"main: Error (exit code {code})", 0, False) for code in ("0", "1", "2", "3", "4", "70", "130")),
]


class LastRetry:
    def __init__(self, code: str, message: str):
        self.exitCode, self.message = code, message


def evaluated(expression: str, code: str, message: str, before: int) -> bool:
    """All variables are strings in Argo; `matches` searches; lists, `in` and == are Python's."""
    python = re.sub(r'([\w.]+) matches (".*?")', r"bool(search(\2, \1))", expression)
    python = python.replace("&&", " and ").replace("||", " or ").replace("!(", " not (")
    return eval(
        python, {"search": re.search, "bool": bool}, {"lastRetry": LastRetry(code, message), "retries": str(before)}
    )


@pytest.mark.parametrize("code, message, before, wanted", CASES)
def test_only_what_can_pass_by_itself_is_tried_again(code, message, before, wanted):
    assert evaluated(RETRIED, code, message, before) is wanted


def test_backoff_is_capped_and_preemptions_have_room():
    strategy = retries()
    assert (strategy.limit, strategy.retry_policy, strategy.backoff.cap) == (20, "Always", "5m")
