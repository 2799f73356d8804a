"""The commands of `python -m pipelines`, one module per command: HELP, add_arguments(parser), main(args)."""
