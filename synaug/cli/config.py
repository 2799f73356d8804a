"""`synaug config`: the reference of run.yaml."""

import argparse
import json

from synaug.cli.parser import PRESET_NAMES, add_override_arguments
from synaug.config.fields import ConfigField, fields
from synaug.config.load import dump_config, load_config

HELP = "list every field of run.yaml with its kind, unit, default and meaning"
EPILOG = """\
reads    nothing; with --config or --preset: that configuration, to print it whole
writes   nothing
needs    nothing

example  synaug config
         synaug config --preset demo images.guidance_scale=2.0
"""
KINDS = {
    "identity": "frozen by the first plan; a change is refused once prompts or images exist",
    "growable": "may be added to later",
    "execution": "how and where; never changes what comes out",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", help="print this run.yaml with all defaults filled in")
    source.add_argument("--preset", metavar="NAME", help=f"print this preset: {PRESET_NAMES}")
    source.add_argument("--markdown", action="store_true", help="print the reference as docs/configuration.md has it")
    add_override_arguments(parser, "replaces a field")


def main(args: argparse.Namespace) -> None:
    """Print the reference, or a configuration with all defaults filled in. Raises UsageError."""
    if args.config or args.preset:
        print(dump_config(load_config(args.preset or args.config, args.overrides)), end="")
    else:
        print(markdown() if args.markdown else plain(), end="")


def default_text(field: ConfigField) -> str:
    """Write a field's default as JSON, with every digit; `required` where there is none."""
    return "required" if field.required else json.dumps(field.default)


def plain() -> str:
    """Write the reference for a terminal."""
    lines = []
    for field in fields():
        unit = f", {field.unit}" if field.unit else ""
        lines += [f"{field.path} = {default_text(field)}", f"    {field.kind}; {field.type}{unit}. {field.description}"]
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Write the reference as docs/configuration.md has it."""
    lines = [
        "# Configuration",
        "",
        "Every field of `run.yaml`. Written by `synaug config --markdown`; a test keeps it fresh.",
        "",
    ]
    lines += [f"- *{kind}*: {meaning}." for kind, meaning in KINDS.items()]
    sections: dict[str, list[ConfigField]] = {"": []}
    for field in fields():
        sections.setdefault(field.path.split(".")[0] if "." in field.path else "", []).append(field)
    for name, section in sections.items():
        title = f"## `{name}:`" if name else "## Top level"
        lines += ["", title, "", "| Field | Kind | Type | Unit | Default | Meaning |", "|---|---|---|---|---|---|"]
        for field in section:
            default = f"`{default_text(field)}`"
            cells = [f"`{field.path}`", field.kind, field.type, field.unit, default, field.description]
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
