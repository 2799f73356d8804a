"""The style list of a run, for stylized diversification (`a {style} of {name}`)."""

import yaml

from synaug.config import Config
from synaug.embedded import DATA
from synaug.errors import UsageError

EMBEDDED = DATA / "styles.yaml"


def load_styles(config: Config) -> list[str]:
    """Load the run's styles, lower-case nouns such as `watercolour painting`.

    Raises UsageError for an empty list, a doubled style or an unknown name.
    """
    styles = config.prompts.styles
    if isinstance(styles, str):
        if styles != "embedded":
            raise UsageError(
                f"prompts.styles={styles!r}: allowed are `embedded`, a .yaml file beside run.yaml, or a list of styles"
            )
        styles = yaml.safe_load(EMBEDDED.read_text())
    if (
        not isinstance(styles, list)
        or not styles
        or not all(isinstance(style, str) and style.strip() for style in styles)
    ):
        raise UsageError(
            "prompts.styles holds no list of texts; write one style per line, like `- watercolour painting`"
        )
    if doubled := sorted({style for style in styles if styles.count(style) > 1}):
        raise UsageError(f"prompts.styles has {doubled[0]!r} twice; each style once")
    return list(styles)
