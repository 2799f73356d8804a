"""The development cluster: Kubernetes on one bare Linux machine, without Docker and without a registry (k8s/README.md)."""
