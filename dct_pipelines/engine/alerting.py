"""Tells of incidents: always in the log, and through a port where there is one. Telling disturbs nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from dct_pipelines.domain.alerts import Alert, AlertPort

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alerting:
    """Tells each incident once when it begins and once when it is over; the caller knows when that is."""

    port: AlertPort | None = None

    def tell(self, alert: Alert) -> None:
        """Log it, and pass it on; what goes wrong with that is logged too."""
        level = logging.ERROR if alert.kind == "connection_down" else logging.WARNING
        log.log(level, "%s", alert.text)
        if self.port is None:
            return
        try:
            self.port.send(alert)
        except Exception as error:  # noqa: BLE001 - an alert must never stop what it tells about
            log.warning("the alert about %s could not be sent: %s", alert.connection, error)
