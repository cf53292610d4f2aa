"""The signature of a webhook: who sent it, that nobody changed it, and that it is no replay."""

import hashlib
import hmac

HEADER = "X-Eddyline-Signature"
TOLERANCE = 300.0


def sign(secret: str, body: bytes, time: float) -> str:
    """The header's value: `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`.

    The scheme of Stripe and Standard Webhooks: the time is under the signature, so it cannot be
    put forward to replay an old request.

    Example:
        >>> sign("key", b"{}", 1767312000.0)[:20]
        't=1767312000,v1=2f05'
    """
    stamp = str(int(time))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def verify(
    secret: str, body: bytes, signature: str, now: float, tolerance: float = TOLERANCE
) -> bool:
    """Whether the body was signed with this secret at most `tolerance` seconds from `now`.

    What a receiver does with each request, over the bytes as they came; then it keeps the
    `Idempotency-Key` for longer than the tolerance and takes each once.

    Example:
        >>> signature = sign("key", b"{}", 1000.0)
        >>> verify("key", b"{}", signature, 1010.0), verify("key", b"[]", signature, 1010.0)
        (True, False)
        >>> verify("key", b"{}", signature, 1000.0 + 301)
        False
    """
    pairs = [part.partition("=") for part in signature.split(",")]
    parts = {name: value for name, _, value in pairs}
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp)) > tolerance:
        return False
    expected = sign(secret, body, int(stamp)).partition(",v1=")[2]
    return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())
