"""How many examples property tests try, by profile: few in every run, thousands at night."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings

LEAST = 30
"""examples of a property in any profile"""


def register() -> None:
    """Makes the profiles known. Both look at new examples in every run and keep those that failed in `.hypothesis`."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
    settings.register_profile("keepers", max_examples=100, deadline=None, print_blob=True, phases=phases)
    settings.register_profile("nightly", settings.get_profile("keepers"), max_examples=7000)


def examples(times: float, **more: Any) -> settings:
    """The profile's number of examples times this, for properties that cost much more or less than others do.

    Called when a test module is imported, which is after the profile is loaded.
    """
    return settings(max_examples=max(LEAST, round(settings.default.max_examples * times)), **more)


def large(times: float = 0.3) -> settings:
    """For properties whose example is a whole world in a warehouse or a store."""
    return examples(times, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
