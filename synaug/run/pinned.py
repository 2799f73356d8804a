"""Stages work with the models that the run was planned with, to the commit."""

from synaug.errors import ModelError
from synaug.run.plan import ModelInfo, Plan


def check_planned(plan: Plan, *models: ModelInfo) -> None:
    """Raises ModelError when the weights are not those that the run was planned with."""
    planned = {model.role: model.revision for model in plan.models}
    for model in models:
        if planned.get(model.role, model.revision) != model.revision:
            raise ModelError(
                f"{model.name} is at revision {model.revision} here, the run was planned with {planned[model.role]}; bring those weights "
                "back, or plan another --run with these"
            )
