"""All steps of DetNAS, run one after another as calls of train_net.py and search_net.py."""

from .run import STOPPED, StepError, run_steps
from .step import DONE_FILE, Step, is_own

__all__ = ["DONE_FILE", "STOPPED", "Step", "StepError", "is_own", "run_steps"]
