"""All steps of DetNAS, run one after another as calls of train_net.py and search_net.py."""

from .run import StepError, run_script, run_steps
from .step import DONE_FILE, Step

__all__ = ["DONE_FILE", "Step", "StepError", "run_script", "run_steps"]
