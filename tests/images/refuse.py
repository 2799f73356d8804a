"""A sitecustomize for a subprocess: packages in REFUSED cannot be imported, as in an image that lacks them."""

import os
import sys
from importlib.abc import MetaPathFinder


class Refuse(MetaPathFinder):
    refused = frozenset(os.environ["REFUSED"].split())

    def find_spec(self, name, path, target=None):
        if name in self.refused:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)


sys.meta_path.insert(0, Refuse())
