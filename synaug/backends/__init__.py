"""Models behind protocols: how a name is resolved to revision and licence, how LLM, CLIP and diffusion are opened."""
