"""The order of a run: what waits for what. The local runner goes by it, the forecast reckons with it, the workflow is tested against it."""

from synaug.config import Config
from synaug.run.job import Task
from synaug.run.plan import Plan
from synaug.run.status import active_arms


def flow(config: Config, plan: Plan) -> list[list[list[Task]]]:
    """The run: groups one after another, the chains of a group side by side, the tasks of a chain in order."""
    shards = range(len(plan.class_shards))
    trainings = [(arm, seed) for seed in config.seeds for arm in active_arms(config)]
    return [
        [[Task(stage="prompts", shard=n), Task(stage="images", shard=n)] for n in shards],
        [[Task(stage="index")]],
        [
            [Task(stage="train", arm=arm, seed=seed), Task(stage="evaluate", arm=arm, seed=seed)]
            for arm, seed in trainings
        ],
        [[Task(stage="report")]],
    ]
