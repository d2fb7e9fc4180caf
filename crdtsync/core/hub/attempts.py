"""How long whoever guesses has to wait for the next no: failed attempts by address, in time forgotten."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.core.values import limits


@dataclass(slots=True)
class _Record:
    count: int
    last_s: float


class Attempts:
    """Bounded: of very many addresses those that failed longest ago are forgotten. Times on any one clock."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        """By address, the one that failed last at the end."""

    def failed(self, address: str, now_s: float) -> float:
        """Count a failure; returns for how many seconds its answer is held back."""
        record = self._records.pop(address, None)
        if record is None or now_s - record.last_s > limits.FAILED_ATTEMPTS_FORGOTTEN_S:
            record = _Record(0, now_s)
        record.count += 1
        record.last_s = now_s
        if len(self._records) >= limits.FAILED_ATTEMPTS_KEPT_MAX:
            del self._records[next(iter(self._records))]
        self._records[address] = record
        beyond = record.count - limits.FAILED_ATTEMPTS_FREE
        if beyond <= 0:
            return 0.0
        delay_s = float(limits.FAILED_ATTEMPT_FIRST_S * 2 ** min(beyond - 1, 16))
        return min(delay_s, limits.FAILED_ATTEMPT_MAX_S)
