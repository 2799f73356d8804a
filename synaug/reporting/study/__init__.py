"""A study: several runs of one base configuration, and the comparisons that their arms are asked for (docs/study/*.yaml)."""
