"""The findings as tables for a terminal, 80 columns wide."""

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table

from synaug.evaluation.diagnostics.schema import REAL, CoverageMeasures, Fidelity, Findings, Layer, View, seed_mean


def tables(found: Findings) -> Iterator[Group]:
    if found.fidelity:
        yield _fidelity(found.fidelity)
    for view in found.coverage.views if found.coverage else []:
        yield _view(view)
    for arm, seeds in found.branches.arms.items() if found.branches else []:
        yield _branches(arm, seeds)


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _fidelity(found: Fidelity) -> Group:
    table = _table("images", "top-1", "n")
    for name, one in found.kinds.items():
        table.add_row(f"synthetic, {name}", f"{100 * one.top1:.1f}%", f"{one.n:,}")
    for name, one in found.real.items():
        table.add_row(f"real, {name}", f"{100 * one.top1:.1f}%", f"{one.n:,}")
    class_id, worst = min(found.classes.items(), key=lambda item: item[1].top1)
    about = found.inputs
    title = (
        f"Fidelity: accuracy of {about.classifier} at {about.scale}x, at most {about.images_per_class} images a class"
    )
    return Group(title, table, f"Lowest: {class_id}, {100 * worst.top1:.1f}% of {worst.n}")


def _view(view: View) -> Group:
    names = [*CoverageMeasures.model_fields]
    table = _table("images", *names)
    for name, row in view.rows.items():
        values = [f"{getattr(row.by_class, name):.3f} / {getattr(row.over_all, name):.3f}" for name in names]
        table.add_row("other real ones" if name == REAL else f"synthetic, {name}", *values)
    about = view.inputs
    title = (
        f"Coverage of the real images of {about.reference} in {about.features} features at {about.scale}x: within the classes / over all, "
        f"{view.size} / {view.n_over_all:,} images of each set, k = {view.k}"
    )
    left_out = ", ".join(f"{name} ({n})" for name, n in view.left_out.items())
    return Group(title, table, *([f"Left out, too few images: {left_out}"] if left_out else []))


def _branches(arm: str, seeds: dict[int, list[Layer]]) -> Group:
    table = _table("layer", "channels", "mean", "ln variance", "KL", "scale", "shift")
    for layer in seed_mean(seeds):
        affine = ["" if value is None else f"{value:.3f}" for value in (layer.weight, layer.bias)]
        table.add_row(
            layer.name,
            f"{layer.channels}",
            f"{layer.mean:.3f}",
            f"{layer.variance:+.3f}",
            f"{layer.divergence:.3f}",
            *affine,
        )
    title = (
        f"{arm}: auxiliary against main batch norms, mean over channels and {len(seeds)} training seed{'s' if len(seeds) > 1 else ''}: "
        "|difference of means| / std, ln(aux / main variance), symmetric KL in nats, relative difference of the affine parameters"
    )
    return Group(title, table)
