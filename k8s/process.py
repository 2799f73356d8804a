"""The cluster's processes. Each carries the state folder's name in its environment and is found again by it: no PID file can be stale, a
process that a crash left behind is found too, and so are containerd's shims, which inherit it."""

import os
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from k8s.errors import BootError
from k8s.settings import Settings

OWNER, PART = "SYNAUG_CLUSTER", "SYNAUG_CLUSTER_PART"
INTERVAL = 0.1  # seconds between two looks at a condition


def await_condition(condition: Callable[[], bool], seconds: float, *, alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether `condition` came true within `seconds`; gives up at once when `alive` no longer holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or not alive():
            return False
        time.sleep(INTERVAL)
    return True


def owned() -> dict[int, tuple[str, str]]:
    """Live processes of any development cluster on this machine: PID -> (its state folder, name of the part)."""
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
            found[int(entry.name)] = (variables[OWNER], variables.get(PART, "?"))
    return found


def processes(settings: Settings) -> dict[int, str]:
    """This cluster's live processes: PID -> name of the part."""
    return {pid: part for pid, (state, part) in owned().items() if state == str(settings.state)}


def direct() -> dict[str, str]:
    """This process's environment without HTTP proxies: none of them knows the cluster's addresses."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def answers(url: str) -> bool:
    """Whether a health address on this machine's loopback says ok."""
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
    return subprocess.run([str(word) for word in command], env=direct(), capture_output=True).returncode == 0


def start(settings: Settings, part: str, command: list, ready: Callable[[], bool], *, seconds: float = 60) -> None:
    """Starts a part unless it runs, and waits until `ready`. Raises BootError with its log's name and last line."""
    log, process = settings.logs / f"{part}.log", None
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
        ended = process is not None and process.poll() is not None
        what = f"ended with {process.returncode}" if ended else f"not ready after {seconds:.0f} s"
        raise BootError(f"{part}: {what}; {log} ends: {last_line(log)}")


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "(empty)"


def kill(settings: Settings, parts: set[str] | None = None) -> None:
    """Ends the named parts (all: None) at once and awaits it: what they hold is thrown away, so nothing is lost by SIGKILL."""

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
    """Standard output of a command that must succeed. Raises BootError: what failed, and its last line of error."""
    done = subprocess.run([str(word) for word in command], input=input, env=env, capture_output=True, text=True)
    if log:
        with log.open("a") as output:
            output.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        where = f"; its output is in {log}" if log else ""
        raise BootError(f"{what or ' '.join(map(str, command[:4]))}: {lines[-1][:300]}{where}")
    return done.stdout
