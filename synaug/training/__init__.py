"""A timm model trained on real images, or on real and synthetic ones together."""
