"""Errors of the search space: both are ValueErrors whose message says what to change."""


class SpaceError(ValueError):
    """A search space, or a request on it, that can't be met."""


class ArchitectureError(ValueError):
    """An architecture that doesn't belong to its space, or can't be read."""
