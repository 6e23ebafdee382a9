"""Signatures in the manner of Standard Webhooks (https://www.standardwebhooks.com), ours and others'.

Signed is `<id>.<timestamp>.<body>` by HMAC-SHA256: nothing of it can be changed or sent again later.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from dct_pipelines.domain.errors import CredentialRefused, DeliveryRefused
from dct_pipelines.domain.listener import Delivery

LONGEST_AGE_SECONDS = 300
MOST_SIGNATURES = 10
"""A sender that changes its secret signs with both for a while."""
_PREFIX = "whsec_"


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`. A secret `whsec_...` is base64, any other is text."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise CredentialRefused("a webhook's secret begins with whsec_ but is not base64") from None
    signed = f"{message_id}.{timestamp}.".encode(errors="surrogatepass") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify_signed(delivery: Delivery, secret: str) -> None:
    """`DeliveryRefused` unless it is signed by this secret within the last five minutes."""
    message_id = delivery.headers.get("webhook-id", "")
    given = delivery.headers.get("webhook-signature", "").split()[:MOST_SIGNATURES]
    if not (message_id and given):
        raise DeliveryRefused("the delivery is not signed: webhook-id or webhook-signature is missing")
    timestamp = _timestamp(delivery)
    expected = sign(secret, message_id, timestamp, delivery.body).encode()
    matches = [hmac.compare_digest(expected, one.encode(errors="replace")) for one in given]
    if not any(matches):
        raise DeliveryRefused("the signature does not fit the webhook secret; use the same one on both sides")


def _timestamp(delivery: Delivery) -> int:
    text = delivery.headers.get("webhook-timestamp", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise DeliveryRefused("webhook-timestamp has to be seconds since 1970")
    age_seconds = abs(delivery.received_at.timestamp() - int(text))
    if age_seconds > LONGEST_AGE_SECONDS:
        raise DeliveryRefused(
            f"the delivery was signed {age_seconds:.0f} s away from our time; set both clocks right, and do "
            "not repeat old deliveries"
        )
    return int(text)
