"""Reports: read from what the steps wrote, without a model."""

from .page import write_report
from .pictures import draw_detections
from .summary import summarise, summary_table

__all__ = ["draw_detections", "summarise", "summary_table", "write_report"]
