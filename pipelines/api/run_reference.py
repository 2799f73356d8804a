"""What a command names: a run with its configuration, in a namespace."""

from dataclasses import dataclass

from pipelines import names
from pipelines.api.client import Cluster
from synaug.config import Config

NAMESPACE = "synaug"


@dataclass(frozen=True, kw_only=True)
class RunReference:
    """A run and its configuration. text: run.yaml whole, at most 64 KiB."""

    run: str
    config: Config
    text: str

    @property
    def workflow(self) -> str:
        """Name the run's Workflow."""
        return names.workflow(self.run, self.config)


def make_variables(cluster: Cluster, run: str) -> str:
    """Spell the Makefile's variables with which another target finds the same run: `RUN=first NAMESPACE=team`."""
    namespace = f" NAMESPACE={cluster.namespace}" if cluster.namespace != NAMESPACE else ""
    return f"RUN={run}{namespace}" + (f" KUBECONTEXT={cluster.target.context}" if cluster.target.context else "")
