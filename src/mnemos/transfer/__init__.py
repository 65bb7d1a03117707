"""Import and export: our own archive, and the memories of other products."""

from mnemos.transfer.archive import export_jsonl, export_space
from mnemos.transfer.importer import FORMATS, ImportReport, Problem, import_path
from mnemos.transfer.pages import export_markdown

__all__ = ["FORMATS", "ImportReport", "Problem", "export_jsonl", "export_markdown", "export_space", "import_path"]
