"""Scale an image-classification training set with synthetic images and train on the mix. See docs/design.md."""

__version__ = "0.1.0"
