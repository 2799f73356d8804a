"""A training step with AuxBN against one with plain batch norm, interleaved; and that compiling gives one graph."""

import copy
import time
from statistics import median

import timm
import torch
import torch.nn.functional as F

from synaug.training import auxbn
from tests.benchmarks.result import Result

ROUNDS = 7
EAGER, COMPILED = "<= 1.15", "<= 1.05"  # promised on a GPU; on a CPU the figures are reported only


def run(model: str = "resnet50", compiled: str | None = None, batch: int | None = None, size: int | None = None, rounds: int = ROUNDS):
    """compiled: the model of the compiled comparison; a small one on a CPU, where compiling a large one takes minutes."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    batch, size = batch or (256 if gpu else 16), size or (224 if gpu else 96)
    compiled = compiled or ("resnet50" if gpu else "resnet10t")
    torch._dynamo.reset()
    ratio, details = compare(model, batch, size, device, rounds, compile_it=False)
    results = [Result(name=f"AuxBN / plain BN step, {model}, eager", value=ratio, target=EAGER if gpu else "", details=details)]
    ratio, details = compare(compiled, batch, size, device, rounds, compile_it=True)
    target = COMPILED if gpu else ""
    return [
        *results,
        Result(name=f"AuxBN / plain BN step, {compiled}, compiled", value=ratio, target=target, details=details),
        Result(name=f"graphs of the compiled AuxBN {compiled}", value=details["graphs"], target="== 1", unit="graphs"),
    ]


def compare(name: str, batch: int, size: int, device: torch.device, rounds: int, *, compile_it: bool) -> tuple[float, dict]:
    """Median ratio of step times, and what was measured."""
    plain = timm.create_model(name, num_classes=100).to(device).train()
    aux = auxbn.with_aux(copy.deepcopy(plain))
    auxbn.set_split(aux, n_real=batch // 2, batch=batch)
    graphs = None
    steps = {"plain": Step(plain, batch, size, device), "aux": Step(aux, batch, size, device)}
    if compile_it:
        plain.compile()
        aux.compile()
        graphs = count_graphs(steps["aux"])
    seconds = {kind: [] for kind in steps}
    for number in range(rounds + 2):
        for kind, step in steps.items():
            taken = step.seconds()
            if number >= 2:  # warm-up
                seconds[kind].append(taken)
    ratios = [a / p for a, p in zip(seconds["aux"], seconds["plain"], strict=True)]
    details = {"batch": batch, "size": size, "device": str(device), "seconds": seconds, "graphs": graphs}
    return median(ratios), details


def count_graphs(step: "Step") -> int:
    """Graphs that three steps of the compiled model made; a recompilation or a break makes another."""
    from torch._dynamo.utils import counters

    counters.clear()
    for _ in range(3):
        step.seconds()
    return counters["stats"]["unique_graphs"]


class Step:
    """One optimizer step on a fixed random batch."""

    def __init__(self, model: torch.nn.Module, batch: int, size: int, device: torch.device):
        self.model, self.device = model, device
        self.images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 100, (batch,), device=device)
        model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def seconds(self) -> float:
        start = time.perf_counter()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(self.images)
        losses = F.cross_entropy(logits.float(), self.labels, reduction="none")
        half = len(losses) // 2
        self.optimizer.zero_grad()
        (0.5 * losses[:half].mean() + 0.5 * losses[half:].mean()).backward()
        self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start
