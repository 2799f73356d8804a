"""The stages, one module per row of run/stages.py with HELP, EPILOG and run(job). Thin: the work is in layers below."""
