"""The small models and data of the demo, as packages read them; data/README.md says where each comes from."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
