"""What there is to tell about a call: its states and measurements over time, as one HTML or JSON file."""

from qbcall.report.document import Document
from qbcall.report.files import check_path
from qbcall.report.listener import CallReport, write_document

__all__ = ["CallReport", "Document", "check_path", "write_document"]
