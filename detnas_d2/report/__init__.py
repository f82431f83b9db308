"""Reports: read from what the steps wrote, without a model."""

from .boxes import draw_detections
from .page import write_report

__all__ = ["draw_detections", "write_report"]
