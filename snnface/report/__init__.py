"""The report: one self-contained page that shows a whole experiment to a person."""

from snnface.report.page import write_report
from snnface.report.scenes import Action, Pictures, Scene, Sheet

__all__ = ["Action", "Pictures", "Scene", "Sheet", "write_report"]
