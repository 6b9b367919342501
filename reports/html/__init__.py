"""One self-contained page from an analysis."""

from .page import render_page, write_page
from .sections import SECTIONS
from .view import Section, View

__all__ = ["SECTIONS", "Section", "View", "render_page", "write_page"]
