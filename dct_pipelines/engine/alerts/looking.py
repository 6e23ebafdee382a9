"""One look at the deployment: each rule is asked by itself, so that one that breaks blinds no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.incidents import ITSELF, AlertRule, Sign
from dct_pipelines.store.database import Connection

log = logging.getLogger(__name__)


@dataclass
class Look:
    """What one look saw. `stuck` are sentences about what of the engine itself does not work.

    `blind` are the rules that could not be asked: nobody knows whether their incidents are over.
    """

    connection: Connection
    signs: list[Sign] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    blind: set[AlertRule] = field(default_factory=set)

    def ask(self, see: Callable[[], Iterable[Sign]], *rules: AlertRule) -> None:
        """Take in what these rules see; that they cannot see is a sign of the first of them.

        A database that is gone is nobody's fault here, and is raised.
        """
        try:
            self.signs += list(see())
        except Exception as error:
            if isinstance(error, DatabaseUnavailable) and self.connection.invalidated:
                raise
            log.exception("the rules %s cannot be looked at", ", ".join(rules))
            self.connection.rollback()
            self.blind.update(rules)
            for rule in rules:
                self._say(rule, type(error).__name__)

    def _say(self, rule: AlertRule, what: str) -> None:
        if any((sign.rule, sign.subject) == (rule, ITSELF) for sign in self.signs):
            return
        said = f"The rule {rule} cannot be looked at ({what}): what it would tell is not told"
        self.signs.append(
            Sign(rule, ITSELF, f"{said}. The log of the sensor `alerts` says why; report it, or update")
        )
        self.stuck.append(f"the rule {rule} cannot be looked at ({what})")
