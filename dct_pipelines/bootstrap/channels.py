"""The channels as actions find them: by name, each read and made when it is first asked for.

The actions of one attempt thus see a channel as it was when the first of them used it; the next attempt reads
it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dct_pipelines.domain.channels import ChannelSpec
from dct_pipelines.domain.ports import ChannelPort
from dct_pipelines.domain.words import OUTBOX
from dct_pipelines.store.library import Library


@dataclass(frozen=True)
class DefinedChannels(Mapping[str, ChannelPort]):
    """Every channel that is defined, and the file outbox. `make` gives the client of a definition."""

    library: Library
    outbox: ChannelPort
    make: Callable[[ChannelSpec], ChannelPort]
    _made: dict[str, ChannelPort] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ChannelPort:
        if name not in self._made:
            self._made[name] = self._find(name)
        return self._made[name]

    def _find(self, name: str) -> ChannelPort:
        spec = self.library.find_channel(name)
        if spec is not None:
            return self.make(spec)
        if name == OUTBOX:
            return self.outbox
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((OUTBOX, *self.library.channel_names())))

    def __len__(self) -> int:
        return sum(1 for _ in self)
