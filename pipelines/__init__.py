"""The workflow on Kubernetes: the same stages as pods. Knows Hera and the Kubernetes API, no torch."""
