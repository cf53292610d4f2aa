"""Kafka's errors: which of them pass by themselves, and the others in words."""

from typing import Any

from confluent_kafka import KafkaError

from eddyline.io.sources.source import Unreadable

_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}  # noqa: SLF001 their names
_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
_REFUSED = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
}
_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
}


def passes(error: Any) -> bool:
    """Whether the same request may succeed later.

    Example:
        >>> passes(KafkaError(KafkaError._TRANSPORT))
        True
        >>> passes(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
        False
    """
    if error.code() in _MISSING | _DENIED | _REFUSED:
        return False
    return error.code() in _AWAY or error.retriable() or not error.fatal()


def in_words(error: Any, name: str) -> Unreadable:
    """What the user can do about it.

    Example:
        >>> print(in_words(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "kafka:telemetry"))
        kafka:telemetry: not allowed. The principal needs the ACL READ on the topic.
    """
    return Unreadable(f"{name}: {_words(error)}", passes=passes(error))


def _words(error: Any) -> str:
    code = error.code()
    if code in _MISSING:
        return "it does not exist. Create it, or correct its name."
    if code in _DENIED:
        return "not allowed. The principal needs the ACL READ on the topic."
    if code in _REFUSED:
        return f"the brokers refuse the credentials ({error.str()})."
    if code in _AWAY:
        return (
            f"the brokers cannot be reached ({error.str()}). Check the network and "
            "KAFKA_BOOTSTRAP_SERVERS."
        )
    return error.str()
