"""The development cluster: Kubernetes on one bare Linux machine, without Docker or registry (k8s/README.md)."""
