"""`python -m pipelines render`: the chart's files from the workflow's source.

Hera is imported where it is used: it takes a second, and `--help` does without.
"""

import argparse

EPILOG = "reads    nothing else; the files are the same bytes wherever they are made"
HELP = "write the workflow as YAML into helm/synaug/files (make render)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def main(args: argparse.Namespace) -> None:
    from pipelines.workflow import render

    changed = render.write()
    print(f"{render.FILES}: {', '.join(changed) if changed else 'all fresh'}")
