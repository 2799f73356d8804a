"""The cluster's processes.

Each carries the state folder's name in its environment and is found again by it: no PID file can be stale, a process
that a crash left behind is found too, and so are containerd's shims, which inherit it.
"""

import os
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from k8s.settings import Settings
from synaug.errors import SynaugError

OWNER, PART = "SYNAUG_CLUSTER", "SYNAUG_CLUSTER_PART"
INTERVAL = 0.1  # seconds between two looks at a condition


class BootError(SynaugError):
    """A part of the cluster failed; the message names the part and its log."""


def await_condition(condition: Callable[[], bool], seconds: float, *, alive: Callable[[], bool] = lambda: True) -> bool:
    """Say whether `condition` came true within `seconds`; give up at once when `alive` no longer holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or not alive():
            return False
        time.sleep(INTERVAL)
    return True


class Owned(NamedTuple):
    """What a process carries in its environment."""

    state: str
    part: str


def owned() -> dict[int, Owned]:
    """Find the live processes of any development cluster on this machine: PID -> its state folder and part."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            pairs = [v.decode(errors="replace").partition("=") for v in (entry / "environ").read_bytes().split(b"\0")]
        except OSError:  # it ended meanwhile, or is a kernel's
            continue
        variables = {name: value for name, _, value in pairs if name in (OWNER, PART)}
        if OWNER in variables:
            found[int(entry.name)] = Owned(variables[OWNER], variables.get(PART, "?"))
    return found


def processes(settings: Settings) -> dict[int, str]:
    """Find this cluster's live processes: PID -> name of the part."""
    return {pid: process.part for pid, process in owned().items() if process.state == str(settings.state)}


def direct() -> dict[str, str]:
    """Return this process's environment without HTTP proxies: none of them knows the cluster's addresses."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def answers(url: str) -> bool:
    """Say whether a health address on this machine's loopback answers ok."""
    try:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # signed by itself
        )
        with opener.open(url, timeout=2) as response:
            return response.status == 200
    except OSError:  # URLError is one
        return False


def succeeds(command: list) -> bool:
    """Say whether a command ends with 0."""
    return subprocess.run([str(word) for word in command], env=direct(), capture_output=True).returncode == 0


def start(settings: Settings, part: str, command: list, ready: Callable[[], bool], *, seconds: float = 60) -> None:
    """Start a part unless it runs, and wait until `ready`. Raises BootError with its log's name and last line."""
    log = settings.logs / f"{part}.log"
    process: subprocess.Popen | None = None
    if part not in processes(settings).values():
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=settings.state,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=direct() | {OWNER: str(settings.state), PART: part},
            )
    if not await_condition(ready, seconds, alive=lambda: process is None or process.poll() is None):
        code = process.poll() if process else None
        what = f"not ready after {seconds:.0f} s" if code is None else f"ended with {code}"
        raise BootError(f"{part}: {what}; {log} ends: {last_line(log)}")


def last_line(log: Path) -> str:
    """Read the last line of a log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "(empty)"


def kill(settings: Settings, parts: set[str] | None = None) -> None:
    """End the named parts (all: None) at once and await it.

    What they hold is thrown away, so nothing is lost by SIGKILL. Raises BootError.
    """

    def left() -> list[int]:
        return [pid for pid, part in processes(settings).items() if parts is None or part in parts]

    for pid in left():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not await_condition(lambda: not left(), 15):
        raise BootError(f"processes do not end; see them with: ps -fp {','.join(map(str, left()))}")


def run(
    command: list,
    *,
    input: str | None = None,
    env: dict | None = None,
    log: Path | None = None,
    what: str | None = None,
) -> str:
    """Return the output of a command that must succeed. Raises BootError: what failed, and its last line of error."""
    done = subprocess.run([str(word) for word in command], input=input, env=env, capture_output=True, text=True)
    if log:
        with log.open("a") as output:
            output.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        where = f"; its output is in {log}" if log else ""
        raise BootError(f"{what or ' '.join(map(str, command[:4]))}: {lines[-1][:300]}{where}")
    return done.stdout
