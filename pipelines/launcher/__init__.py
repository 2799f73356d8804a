"""The pod that trains one arm and seed: starts the PyTorchJob, watches it, and ends with its verdict."""
