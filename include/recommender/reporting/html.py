"""The report as one self-contained HTML page."""

from __future__ import annotations

import html
from typing import Any


def render_html(report: dict[str, Any]) -> str:
    """A page without outside resources."""
    return f"<!doctype html><meta charset=utf-8><title>Run</title><pre>{html.escape(report['table'] or '')}</pre>"
