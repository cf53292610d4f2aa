"""Whether the schema, the registry and the policy can be read, and are right."""

from apache_beam.io.filesystems import FileSystems

from eddyline.pipeline.doctor.check import Ill
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.policy.policy_file import read_policy_file


def look_at_schema(schema: str) -> str:
    """Load the schema file."""
    try:
        contract = load_contract(schema)
    except FileNotFoundError as error:
        raise Ill(str(error), "Give its path, or the name of a shipped one: room.") from error
    return f"{len(contract.channels)} channels: {', '.join(c.name for c in contract.channels)}"


def look_at_registry(path: str, schema: str) -> str:
    """Read the device registry as the job does."""
    channels = [channel.name for channel in load_contract(schema).channels]
    registry = read_registry(path, _content(path), channels)
    devices = registry.places.num_rows
    if not devices:
        raise Ill("no device in it", "Every device would be unknown.", "warning")
    return f"{devices:,} devices"


def look_at_policy(path: str) -> str:
    """Read the policy file as the job does."""
    written = read_policy_file(path, _content(path))
    return f"{len(written.file.rules)} rules, {len(written.channels)} channels"


def _content(path: str) -> bytes:
    try:
        with FileSystems.open(path) as file:
            return bytes(file.read())
    except Exception as error:  # each file system has its own
        raise Ill(f"{path} cannot be read: {error}", "Is it there, and may we read it?") from error
