"""Secrets by reference: read where they are used, kept some minutes, never told."""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

from eddyline.io.load import load

HIDDEN = "[secret]"
# Shorter ones would blank out half of an innocent text.
SHORTEST = 4


class SecretUnavailable(Exception):
    """A reference that cannot be read; names the reference, never a secret.

    Args:
        words: What is wrong.
        permanent: Trying again is of no use, such as for a variable that is not set.
    """

    def __init__(self, words: str, *, permanent: bool) -> None:
        super().__init__(words)
        self.permanent = permanent


class Secrets:
    """The secrets of one process.

    Guarantee: no secret is in `repr`, in a pickle (it refuses to be pickled) or in what `redact`
    has gone over. A store is asked again when what was read is older than `keep`, so a rotated
    secret is taken up without a restart.

    Args:
        clock: Seconds that only grow.
        keep: Seconds for which a secret is kept.
        stores: How to read each kind of reference; None for all that there are.

    Example:
        >>> secrets = Secrets(clock=lambda: 0.0, stores={"env": {"HOOK": "s3cret"}.__getitem__})
        >>> secrets.read("env:HOOK")
        's3cret'
        >>> secrets.redact("401 for s3cret"), secrets
        ('401 for [secret]', Secrets(1 kept))
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        keep: float = 300.0,
        stores: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        self._clock, self._keep = clock, keep
        self._stores = STORES if stores is None else stores
        self._kept: dict[str, tuple[float, str]] = {}
        self._seen: set[str] = set()

    def read(self, reference: str) -> str:
        """The secret that a reference names.

        Raises:
            SecretUnavailable: It cannot be read now, or not at all.
        """
        read_at, secret = self._kept.get(reference, (None, ""))
        if read_at is None or self._clock() - read_at >= self._keep:
            secret = self._fetch(reference)
        return secret

    def renew(self) -> bool:
        """Read all kept secrets again; True where one has changed: then one more try may do."""
        changed = False
        for reference, (_, before) in list(self._kept.items()):
            changed |= self._fetch(reference) != before
        return changed

    def redact(self, words: str) -> str:
        """The words with every secret that was ever read blanked out."""
        for secret in sorted(self._seen, key=len, reverse=True):
            words = words.replace(secret, HIDDEN)
        return words

    def _fetch(self, reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind not in self._stores:
            raise SecretUnavailable(f"no such kind of secret: {kind}", permanent=True)
        secret = self._stores[kind](name)
        self._kept[reference] = (self._clock(), secret)
        # A message may tell a part alone, such as the path of a webhook's address.
        parts = {secret, *re.split(r"https?://[^/]+/", secret)}
        self._seen |= {part for part in parts if len(part) >= SHORTEST}
        return secret

    def __repr__(self) -> str:
        return f"Secrets({len(self._kept)} kept)"

    def __reduce__(self) -> Any:
        raise TypeError("secrets stay in their process")


class HideSecrets(logging.Filter):
    """Blanks out the secrets of those it watches, in the records of a library's logger."""

    def __init__(self) -> None:
        super().__init__()
        self._watched: WeakSet[Secrets] = WeakSet()

    def watch(self, secrets: Secrets) -> None:
        """Blank out these too, as long as somebody uses them."""
        self._watched.add(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it is always let through."""
        words = record.getMessage()
        for secrets in list(self._watched):
            words = secrets.redact(words)
        record.msg, record.args = words, None
        return True


def _from_environment(name: str) -> str:
    if not (secret := os.environ.get(name, "")):
        raise SecretUnavailable(f"env:{name} is not set", permanent=True)
    return secret


def _from_file(path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnavailable(f"file:{path}: {type(error).__name__}", permanent=True) from None
    if not secret:
        raise SecretUnavailable(f"file:{path} is empty", permanent=True)
    return secret


def _from_secret_manager(name: str) -> str:
    load("google.cloud.secretmanager")
    from google.api_core.exceptions import GoogleAPICallError, InvalidArgument, NotFound
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.secretmanager import SecretManagerServiceClient

    version = name if "/versions/" in name else f"{name}/versions/latest"
    try:
        answer = SecretManagerServiceClient().access_secret_version(name=version, timeout=10.0)
        return answer.payload.data.decode().strip()
    except (GoogleAPICallError, GoogleAuthError, UnicodeDecodeError) as error:
        permanent = isinstance(error, NotFound | InvalidArgument | UnicodeDecodeError)
        words = f"gcp-secret:{name}: {type(error).__name__}"
        raise SecretUnavailable(words, permanent=permanent) from None


def _from_secrets_manager(name: str) -> str:
    load("boto3")
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    identity, _, key = name.partition("#")
    try:
        client: Any = boto3.client("secretsmanager")
        secret = client.get_secret_value(SecretId=identity)["SecretString"]
        return str(json.loads(secret)[key]) if key else str(secret)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "ClientError")
        permanent = code in ("ResourceNotFoundException", "ValidationException")
        raise SecretUnavailable(f"aws-secret:{name}: {code}", permanent=permanent) from None
    except BotoCoreError as error:
        words = f"aws-secret:{name}: {type(error).__name__}"
        raise SecretUnavailable(words, permanent=False) from None
    except (KeyError, TypeError, ValueError):
        words = f"aws-secret:{name}: no text, or no such key in it"
        raise SecretUnavailable(words, permanent=True) from None


STORES: Mapping[str, Callable[[str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "gcp-secret": _from_secret_manager,
    "aws-secret": _from_secrets_manager,
}
