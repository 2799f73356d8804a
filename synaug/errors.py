"""What can go wrong, as exit codes (docs/design.md §3). A message says what was given, what is allowed, what to do."""


class SynaugError(Exception):
    """Shown as one line on stderr; `exit_code` ends the process."""

    exit_code = 70


class UsageError(SynaugError):
    """A command line or configuration that cannot be meant."""

    exit_code = 2


class DataError(SynaugError):
    """Data that is broken or missing, or finished work that would be changed."""

    exit_code = 3


class ModelError(SynaugError):
    """A model, licence or credential that cannot be used."""

    exit_code = 4


class TransientError(SynaugError):
    """The store or an endpoint stayed out of reach after bounded waiting; running again can succeed."""

    exit_code = 170
