"""The objects that the chart holds: the DAG of stages, pods and PyTorchJob of a run, rendered once by `make render`."""
