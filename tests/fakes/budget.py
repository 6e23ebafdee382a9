"""A call budget in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dct_pipelines.domain.errors import Throttled
from dct_pipelines.domain.ports import Clock


@dataclass
class Told:
    """What the provider said about a bucket."""

    bucket: str
    remaining: int | None = None
    resets_at: datetime | None = None
    not_before: datetime | None = None


@dataclass
class FakeBudget:
    """Counts calls by bucket; with a clock it also refuses those that are too many or too early."""

    clock: Clock | None = None
    calls: dict[str, int] = field(default_factory=dict)
    told_so: list[Told] = field(default_factory=list)
    minutes: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def take(self, bucket: str, limit_per_minute: int | None = None) -> None:
        if self.clock is not None:
            self._refuse(bucket, limit_per_minute, self.clock.now())
        self.calls[bucket] = self.calls.get(bucket, 0) + 1

    def told(
        self,
        bucket: str,
        *,
        remaining: int | None = None,
        resets_at: datetime | None = None,
        not_before: datetime | None = None,
    ) -> None:
        self.told_so.append(Told(bucket, remaining, resets_at, not_before))

    def _refuse(self, bucket: str, limit_per_minute: int | None, now: datetime) -> None:
        waits = [one.not_before for one in self.told_so if one.bucket == bucket and one.not_before]
        if waits and max(waits) > now:
            raise Throttled(f"{bucket} waits", not_before=max(waits))
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        begun, used = self.minutes.get(bucket, (minute, 0))
        used = used if begun == minute else 0
        if limit_per_minute is not None and used >= limit_per_minute:
            raise Throttled(f"{bucket} is used up", not_before=minute + timedelta(minutes=1))
        self.minutes[bucket] = (minute, used + 1)
