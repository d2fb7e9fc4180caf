"""What a run measured and what it should reach: samples by system and metric, ratios of their statistics."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, assert_never

OURS = "crdtsync"

Statistic = Literal["median", "p95", "p99", "max"]


def statistic_of(values: Sequence[float], statistic: Statistic) -> float:
    """Nearest-rank percentile, or the median with the mean of the middle two; ``values`` is not empty."""
    ordered = sorted(values)
    match statistic:
        case "median":
            middle = len(ordered) // 2
            return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        case "p95" | "p99":
            share = 0.95 if statistic == "p95" else 0.99
            return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
        case "max":
            return ordered[-1]
        case _:
            assert_never(statistic)


@dataclass(frozen=True, slots=True)
class Target:
    """``metric`` of ours is at most ``limit``, or ``limit`` times that of the best of ``over``.

    With ``at_least`` it is at least that. ``over_metric`` and ``over_statistic`` are for where the other side
    is measured otherwise.
    """

    what: str
    metric: str
    limit: float
    over: tuple[str, ...] = ()
    statistic: Statistic = "median"
    at_least: bool = False
    over_metric: str = ""
    over_statistic: Statistic | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``value`` is None where nothing was measured."""

    target: Target
    value: float | None

    @property
    def word(self) -> str:
        if self.value is None:
            return "not measured"
        fine = self.value >= self.target.limit if self.target.at_least else self.value <= self.target.limit
        return "reached" if fine else "missed"


@dataclass(slots=True)
class Results:
    """``samples[system][metric]`` in the order taken; a metric's name ends in its unit."""

    measure: str
    title: str
    quick: bool
    file_system: str
    floor: str = ""
    """The system to which the tables give ratios."""
    taken_at: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))
    python: str = field(default_factory=platform.python_version)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Of all samples, also of those that are not kept; made by ``save``."""

    def add(self, system: str, metric: str, values: Iterable[float]) -> None:
        self.samples.setdefault(system, {}).setdefault(metric, []).extend(values)

    def find(self, system: str, metric: str, statistic: Statistic) -> float | None:
        values = self.samples.get(system, {}).get(metric)
        return statistic_of(values, statistic) if values else None

    def judge(self, target: Target) -> Verdict:
        value = self.find(OURS, target.metric, target.statistic)
        if value is None or not target.over:
            return Verdict(target, value)
        metric = target.over_metric or target.metric
        found = [self.find(other, metric, target.over_statistic or target.statistic) for other in target.over]
        others = [other for other in found if other]
        if not others:
            return Verdict(target, None)
        return Verdict(target, value / (max(others) if target.at_least else min(others)))

    def save(self, path: Path) -> None:
        """Raw samples beyond 400 of a metric are thinned out evenly, after the statistics are taken."""
        data = asdict(self)
        data["summary"] = self.summary = {
            system: {metric: _summary(values) for metric, values in metrics.items()}
            for system, metrics in self.samples.items()
        }
        data["samples"] = {
            system: {metric: [round(x, 4) for x in _thin(v)] for metric, v in metrics.items()}
            for system, metrics in self.samples.items()
        }
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))


def _summary(values: Sequence[float]) -> dict[str, float]:
    statistics: tuple[Statistic, ...] = ("median", "p95", "p99")
    return {"n": len(values)} | {name: statistic_of(values, name) for name in statistics}


def _thin(values: Sequence[float], most: int = 400) -> list[float]:
    ordered = list(values) if len(values) <= most else sorted(values)
    step = max(1, math.ceil(len(ordered) / most))
    return ordered[::step]
