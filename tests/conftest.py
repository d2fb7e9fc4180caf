"""What holds for all tests: how long an example of hypothesis takes on a busy machine is no promise."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("untimed"), derandomize=True, database=None)
settings.load_profile("untimed")
