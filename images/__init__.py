"""The container images: Containerfile, and `python -m images`, which builds and pushes them."""
