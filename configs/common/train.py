"""Settings of a training: docs/config.md says what each key means."""

from detnas_d2.settings import Train, defaults

train = defaults(Train)
