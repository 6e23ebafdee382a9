"""What a role allows: which triggers it may edit, where it may deploy, what else it may define.

Checked when a definition is saved, and again when a trigger fires, for its owner: roles change.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from dct_pipelines.domain.words import Kind, TriggerType


class Role(StrEnum):
    """Roles of users."""

    DEVELOPER = "developer"
    TESTER = "tester"
    PRODUCT_MANAGER = "product_manager"
    OPERATOR = "operator"
    ADMIN = "admin"


EVERYTHING = frozenset({Role.OPERATOR, Role.ADMIN})
EDITS: Mapping[Role, frozenset[TriggerType]] = {
    Role.DEVELOPER: frozenset({TriggerType.DEVELOPMENT, TriggerType.TESTING}),
    Role.TESTER: frozenset({TriggerType.TESTING}),
    Role.PRODUCT_MANAGER: frozenset({TriggerType.BUSINESS}),
}
DEPLOYS: Mapping[Role, frozenset[str]] = {
    Role.DEVELOPER: frozenset({"qa"}),
    Role.TESTER: frozenset({"qa", "staging", "uat"}),
    Role.PRODUCT_MANAGER: frozenset(),
}
SHARED = frozenset({Kind.ITEM, Kind.TRIGGER, Kind.DRAFT})
"""What is not an operator's to define alone: commands, accounts and addresses are."""


def edit_fault(role: Role, trigger_type: TriggerType) -> str | None:
    """Why this role may not create or edit triggers of that type; None when it may."""
    if role in EVERYTHING or trigger_type in EDITS[role]:
        return None
    allowed = ", ".join(sorted(EDITS[role]))
    return f"a {role} may edit triggers of type {allowed}, not {trigger_type}; ask an operator"


def deploy_fault(role: Role, environment: str) -> str | None:
    """Why this role may not deploy there; None when it may."""
    if role in EVERYTHING or environment in DEPLOYS[role]:
        return None
    allowed = f"to {', '.join(sorted(DEPLOYS[role]))} only" if DEPLOYS[role] else "nowhere"
    return f"a {role} may deploy {allowed}, not to {environment!r}; ask an operator"


def define_fault(role: Role, kind: Kind) -> str | None:
    """Why this role may not define that kind of thing; None when it may."""
    if role in EVERYTHING or kind in SHARED:
        return None
    return f"a {role} may not define a {kind}: it says where secrets go or what runs; ask an operator"


def users_fault(role: Role) -> str | None:
    """Why this role may not add users; None when it may."""
    return None if role is Role.ADMIN else f"only an admin may change users, not a {role}"


def quotas_fault(role: Role) -> str | None:
    """Why this role may not change quotas; None when it may."""
    return None if role in EVERYTHING else f"a {role} may look at quotas, not change them; ask an operator"


def incidents_fault(role: Role) -> str | None:
    """Why this role may not acknowledge or resolve incidents; None when it may."""
    return None if role in EVERYTHING else f"a {role} may look at incidents, not change them; ask an operator"


def deployment_fault(role: Role) -> str | None:
    """Why this role may not back the deployment up or decide what a restored one does; None when it may."""
    return None if role in EVERYTHING else f"a {role} may not back up or restore; ask an operator"


def launch_fault(role: Role) -> str | None:
    """Why this role may not launch, cancel or retry work; None when it may."""
    if role is not Role.PRODUCT_MANAGER:
        return None
    return f"a {role} may look at executions, not cancel or retry them; ask a developer, tester or operator"
