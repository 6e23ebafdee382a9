"""The same action, for whose code nobody vouches."""

from __future__ import annotations

from dataclasses import replace

from tests.support import toy_actions

ACTION = replace(toy_actions.ACTION, kind="toy_stranger", is_untrusted=True)
