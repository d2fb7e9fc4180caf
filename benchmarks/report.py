"""Makes the pages of a run from its JSON files: a table of what is reached, one per measure, plots."""

from __future__ import annotations

from pathlib import Path

from benchmarks import measures, plot
from benchmarks.figures import Results


def write(folder: Path) -> None:
    """Write README.md and the SVG of every measure for which there is a JSON file."""
    taken = [Results.load(path) for name in measures.NAMES if (path := folder / f"{name}.json").exists()]
    lines = [
        "# Results",
        "",
        "Made by `make bench`; how each is taken: [../README.md](../README.md). Ratios are within one run.",
        "",
        "| measure | what | limit | value | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for results in taken:
        for verdict in results.verdicts:
            value = "" if verdict["value"] is None else number(verdict["value"])
            times = " ×" if verdict["ratio"] else ""
            word = f"**{verdict['word']}**" if verdict["word"] == "missed" else verdict["word"]
            lines.append(
                f"| {results.title} | {verdict['what']} | {number(verdict['limit'])}{times} | "
                f"{value}{times if value else ''} | {word} |"
            )
    for results in taken:
        lines += _section(results)
        (folder / f"{results.measure}.svg").write_text(plot.bars(results))
    (folder / "README.md").write_text("\n".join(lines) + "\n")


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _section(results: Results) -> list[str]:
    small = ", small amounts" if results.quick else ""
    lines = [
        "",
        f"## {results.title}",
        "",
        f"{results.taken_at}, {results.file_system}, Python {results.python}{small}.",
        f"![{results.title}]({results.measure}.svg)",
        "",
        "| system | metric | median | × floor | p95 | p99 | n |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    at_floor = results.summary.get(results.floor, {})
    for system, metrics in results.summary.items():
        for metric, found in metrics.items():
            floor = at_floor.get(metric, {}).get("median")
            times = number(found["median"] / floor) if floor else ""
            median, p95, p99 = (number(found[name]) for name in ("median", "p95", "p99"))
            lines.append(f"| {system} | {metric} | {median} | {times} | {p95} | {p99} | {found['n']:.0f} |")
    lines += [""] if results.options or results.failures else []
    lines += [f"- {system}: {text}" for system, text in results.options.items()]
    lines += [f"- {system} **failed**: {reason}" for system, reason in results.failures.items()]
    return lines
