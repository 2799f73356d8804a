"""run.yaml, typed and validated: a file a section, `Config` in run.py is the whole."""

from synaug.config.run import Config

__all__ = ["Config"]
