"""The client's side of the cluster: connecting, asking, waiting, making and submitting Workflow objects."""
