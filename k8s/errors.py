"""What goes wrong in a boot."""

from synaug.errors import SynaugError


class BootError(SynaugError):
    """A part of the cluster failed; the message names the part and its log."""
