"""Short measurements before a run: sample images, rates of generation, training and loading, for the estimate."""
