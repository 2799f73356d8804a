"""What a stage says of itself while it works: Prometheus metrics, and the beat that the stall watch listens to.

Metrics are served where SYNAUG_METRICS_PORT is set; without it each function returns at once, and prometheus_client,
which would slow the start of every command, is not imported. Counters have no label for the class shard: their series
would never end.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

PORT = "SYNAUG_METRICS_PORT"
UPLOAD_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)  # a prompts file to a tar of gigabytes
logger = logging.getLogger("synaug")


class _Instruments:
    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        from prometheus_client.process_collector import ProcessCollector

        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=registry)

        self.images = counter("synaug_images", "Synthetic images made and accepted")
        self.rejected = counter("synaug_rejected_images", "Generated images that were thrown away", "reason")
        self.phases = counter("synaug_phase_seconds", "Work of the images stage by phase; phases overlap", "phase")
        self.uploads = Histogram(
            "synaug_store_upload_seconds", "One put to the store", buckets=UPLOAD_SECONDS, registry=registry
        )
        self.trained = counter("synaug_train_images", "Images trained on, over all ranks")
        self.train_rate = gauge("synaug_train_images_per_second", "Over all ranks")
        self.step = gauge("synaug_train_step", "Optimizer steps done")
        self.loss = gauge("synaug_train_loss", "Weighted loss of the last steps")
        self.accuracy = gauge("synaug_train_accuracy_ratio", "Top-1 on the training batches of the last steps")


class _Served:
    """The metrics of this process, once they are served."""

    instruments: _Instruments | None = None


def serve() -> None:
    """Serve metrics on the port that the environment names, for as long as the process lives.

    Of several ranks in a pod the first one does.
    """
    port = os.environ.get(PORT)
    if not port or _Served.instruments or os.environ.get("LOCAL_RANK", "0") != "0":
        return
    from prometheus_client import start_http_server

    instruments = _Instruments()
    try:
        start_http_server(int(port), registry=instruments.registry)
    except OSError as error:  # not worth a stage
        logger.warning("no metrics at port %s: %s", port, error)
        return
    _Served.instruments = instruments


def images(good: int, faults: list[str]) -> None:
    """Count the images of one finished batch. faults: the reason of each rejected image."""
    if instruments := _Served.instruments:
        instruments.images.inc(good)
        for reason in faults:
            instruments.rejected.labels(reason).inc()


def phase(name: str, seconds: float) -> None:
    """Add the seconds of work of one phase of the images stage."""
    if instruments := _Served.instruments:
        instruments.phases.labels(name).inc(seconds)


def training(*, step: int, images: int, loss: float, accuracy: float, images_per_second: float) -> None:
    """Report the last steps of a training. images: since the last call. loss, accuracy: means over those steps."""
    if instruments := _Served.instruments:
        instruments.trained.inc(images)
        for gauge, value in (
            (instruments.step, step),
            (instruments.loss, loss),
            (instruments.accuracy, accuracy),
            (instruments.train_rate, images_per_second),
        ):
            gauge.set(value)


@contextmanager
def uploading() -> Iterator[None]:
    """Measure the seconds of one put."""
    if not (instruments := _Served.instruments):
        yield
        return
    start = time.perf_counter()
    yield
    instruments.uploads.observe(time.perf_counter() - start)


class Pulse:
    """The last sign of life of this process, which does one stage at a time (seconds of the monotonic clock)."""

    last = 0.0
    started = False


def beat() -> None:
    """Give a sign of life: a transfer of the store ended, a text was written, a denoising step is done."""
    Pulse.last = time.monotonic()


def progress() -> None:
    """Report a result: an image, a class, an optimizer step. From the first one on the stall limit holds."""
    Pulse.started = True
    beat()
