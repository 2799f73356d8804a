"""A study: several runs of one base configuration, and comparisons of their arms (docs/study/*.yaml)."""
