"""The base of every error that a user can cause and mend."""

from __future__ import annotations


class DetNASError(Exception):
    """Bad input: the message says what was wrong, what was expected and what to do.

    The command-line scripts print such an error as one message and end with status 1. Others end
    with one message too; their traceback goes to the log file, with --debug to the console.
    """


class ConfigError(DetNASError, ValueError):
    """A config, an override or a setting that cannot be used."""
