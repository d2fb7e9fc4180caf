"""Draws one measure as SVG: for each metric a bar a system, as long as its median, and a line to its p95."""

from __future__ import annotations

from html import escape

from benchmarks.figures import OURS, Results

WIDTH, LEFT, ROW, BAR = 760, 220, 24, 14
_OURS, _OTHER, _INK = "#2563eb", "#9ca3af", "#111827"


def bars(results: Results) -> str:
    """Each metric has its own scale; it ends at the longest p95."""
    parts: list[str] = []
    top = 10
    for metric in _metrics(results):
        rows = [(name, figures) for name, found in results.summary.items() if (figures := found.get(metric))]
        longest = max(figures["p95"] for _, figures in rows) or 1.0
        top += ROW
        parts.append(_text(10, top, f"{metric}", weight="bold"))
        for name, figures in rows:
            top += ROW
            median, p95 = figures["median"], figures["p95"]
            scale = (WIDTH - LEFT - 120) / longest
            parts.append(_text(LEFT - 8, top, name, anchor="end"))
            colour = _OURS if name.startswith(OURS) else _OTHER
            parts.append(
                f'<rect x="{LEFT}" y="{top - BAR + 3}" width="{max(1.0, median * scale):.1f}" height="{BAR}" '
                f'fill="{colour}"/>'
            )
            parts.append(
                f'<line x1="{LEFT + median * scale:.1f}" x2="{LEFT + p95 * scale:.1f}" y1="{top - 4}" '
                f'y2="{top - 4}" stroke="{_INK}"/>'
            )
            parts.append(
                _text(
                    LEFT + max(median, p95) * scale + 8,
                    top,
                    f"{median:,.3g}" if median < 1000 else f"{median:,.0f}",
                )
            )
        top += ROW // 2
    height = top + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _metrics(results: Results) -> list[str]:
    return list(dict.fromkeys(metric for metrics in results.summary.values() for metric in metrics))


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )
