"""The commands of `python -m pipelines`, a module each: HELP, add_arguments(parser), main(args)."""
