"""What people write down: one manifest a definition, told apart by `kind`.

The models here say what each kind holds; what a manifest may refer to is checked by `engine.manifests`.
The order of `Kind` is the order in which definitions depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_jsonable_python

from dct_pipelines.domain.channels import ChannelSpec
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, SecretRef, SuiteSpec
from dct_pipelines.domain.trigger import Definition, Name, TriggerSpec
from dct_pipelines.domain.words import ItemKind, Kind, TriggerStatus


class ConnectionSpec(Definition):
    """One account at one provider, with its secrets by reference.

    `base` is where the provider is: a folder of repositories, or a host's URL. A credential is only sent
    below it, so a connection that has one needs it where the provider has no address of its own.
    """

    name: Name
    type: str
    base: str | None = None
    credential: SecretRef | None = None
    poll_interval_seconds: Annotated[int, Field(ge=5, le=24 * 3600)] | None = None
    busy_interval_seconds: Annotated[int, Field(ge=1, le=4)] | None = None
    """How often it is read while reads bring something; None: no more often than otherwise."""
    config: dict[str, Any] = Field(default_factory=dict)
    """What its listener wants to know besides; checked by the listener's model."""
    webhook_secret: SecretRef | None = None
    """What the provider signs its deliveries with."""
    allow_private_network: bool = False
    """Whether its host may have an address of a private network, or be this machine."""


class ItemSpec(Definition):
    """An entry of the context library. A location without a base is relative to the manifest's folder."""

    name: Name
    type: ItemKind
    connection: Name | None = None
    location: Annotated[str, Field(min_length=1, max_length=2000)]
    title: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = Field(default_factory=dict)
    """What the listener of the connection wants to know besides the location; checked by its model."""


class SettableStatus(StrEnum):
    """The states that people give a trigger; `error` is ours to give."""

    ACTIVE = TriggerStatus.ACTIVE.value
    PAUSED = TriggerStatus.PAUSED.value
    DISABLED = TriggerStatus.DISABLED.value


class TriggerManifest(TriggerSpec):
    """A trigger as it is written down. Without `status`, a new one is active and an old one keeps its own."""

    status: SettableStatus | None = None

    @property
    def spec(self) -> TriggerSpec:
        """The part that is versioned."""
        return TriggerSpec.model_validate(self.model_dump(exclude={"status"}))


FORMS: Mapping[Kind, Any] = MappingProxyType(
    {
        Kind.CONNECTION: ConnectionSpec,
        Kind.ITEM: ItemSpec,
        Kind.SUITE: SuiteSpec,
        Kind.CHANNEL: ChannelSpec,
        Kind.ENVIRONMENT: EnvironmentSpec,
        Kind.DRAFT: DraftSpec,
        Kind.TRIGGER: TriggerManifest,
    }
)
"""The model of each kind, or the union of its forms; without the key `kind` itself."""
MODELS: Mapping[Kind, TypeAdapter[Any]] = MappingProxyType(
    {kind: TypeAdapter(form) for kind, form in FORMS.items()}
)
"""What validates each of them."""


def parse(kind: Kind, definition: Mapping[str, Any]) -> BaseModel:
    """The definition of that kind as its model; pydantic's ValidationError when it is not one."""
    spec = MODELS[kind].validate_python(dict(definition))
    assert isinstance(spec, BaseModel)  # noqa: S101 - every adapter above is one of models
    return spec


def plain(spec: BaseModel) -> dict[str, Any]:
    """A definition as plain JSON data, with every default written out: as it is stored and compared."""
    return spec.model_dump(mode="json")


def brief(spec: BaseModel) -> dict[str, Any]:
    """A definition as plain JSON data without what is the default anyway: as it is written to a file.

    `type` stays, which tells apart the forms that a part can have.
    """
    kept: dict[str, Any] = {}
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        if (name in ("name", "type") and value is not None) or value != field.get_default(
            call_default_factory=True
        ):
            kept[name] = _brief(value)
    return kept


def _brief(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return brief(value)
    if isinstance(value, (list, tuple)):
        return [_brief(below) for below in value]
    return to_jsonable_python(value)
