"""Our own secrets are cut out of what servers say, in whatever form they are repeated there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.clients.echoes import HIDDEN, without, without_bytes

SECRET = "s3cr3t/of+some&length"
ENCODINGS = {
    "plain": str,
    "in a URL": quote,
    "in JSON": json.dumps,
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize("around", ["", "a", "ab", "abc", "user:", "oauth2:", "x-token-auth:"])
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_is_cut_out_wherever_it_begins_in_what_is_repeated(
    around: str, encode: Callable[[str], str]
) -> None:
    said = encode(f"{around}{SECRET}{around}")
    left = without(f"you said {said}, we heard", [SECRET])
    assert HIDDEN in left
    assert said not in left
    assert left.startswith("you said ")
    assert left.endswith(", we heard")


@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_no_basic_authentication_is_kept_whoever_the_user_is(before: bytes, after: bytes) -> None:
    said = base64.b64encode(before + SECRET.encode() + after)
    assert without_bytes(b"Basic " + said, [SECRET]) == b"Basic " + HIDDEN.encode()


def test_long_texts_beside_a_repeated_secret_take_no_longer_than_others() -> None:
    """Quadratic in the length, this would take hours."""
    blob = "A" * 4_000_000
    said = base64.b64encode(SECRET.encode()).decode()
    assert without(f"{blob} {said}", [SECRET]) == f"{blob} {HIDDEN}"
