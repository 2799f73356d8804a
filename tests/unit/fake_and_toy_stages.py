"""Imported by the fork server: the fake stages, and the toy with its row."""

import sys

from synaug.run.stages import STAGES
from tests.unit import fake_stages, toy_stage

__all__ = ["fake_stages"]
sys.modules["synaug.stages.toy"] = toy_stage
rows = toy_stage.table()
STAGES.clear()
STAGES.update(rows)
