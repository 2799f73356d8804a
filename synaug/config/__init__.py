"""run.yaml, typed and validated: one file per section; `Config` in run.py is all of it."""

from synaug.config.run import Config

__all__ = ["Config"]
