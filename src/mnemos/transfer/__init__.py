"""Import and export: our own archive, and the memories of other products."""

from mnemos.transfer.archive import export_jsonl, export_space
from mnemos.transfer.detect import FORMATS
from mnemos.transfer.importer import import_path
from mnemos.transfer.pages import export_markdown
from mnemos.transfer.report import FileReport, ImportReport, Problem

__all__ = [
    "FORMATS", "FileReport", "ImportReport", "Problem", "export_jsonl", "export_markdown", "export_space", "import_path",
]  # fmt: skip
