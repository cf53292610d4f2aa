"""`eddyline feedback`: an operator's word on an incident, as a message for the job's feedback."""

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from eddyline.io.lake.read import open_table
from eddyline.io.simulate.targets.table import target_of
from eddyline.io.simulate.targets.target import Outgoing
from eddyline.pipeline.commands.refusing import refusing

Action = Literal["acknowledge", "confirmed", "false_alarm"]
TIMES = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]
err = Console(stderr=True)


def feedback_command(
    incident: Annotated[str, typer.Argument(help="Id of the incident, or how it begins.")],
    action: Annotated[Action, typer.Argument(help="What to say of it.", metavar="WORD")],
    lake: Annotated[str, typer.Option(help="The lake that has the incident.")] = "lake",
    to: Annotated[
        str,
        typer.Option(help="What the job's --feedback reads: a folder, kinesis:, pubsub:, sqs:."),
    ] = "",
    by: Annotated[str, typer.Option(help="Who says it; by default who is logged in.")] = "",
    at: Annotated[
        datetime | None, typer.Option(help="Event time from which it holds; now.", formats=TIMES)
    ] = None,
) -> None:
    """Acknowledge an incident, confirm it, or call it a false alarm.

    acknowledge: somebody takes care; no reminders, and a new regime that stays becomes the normal
    one. false_alarm: the device is judged less strictly for some days. confirmed: takes that back.

    Example: eddyline feedback 9bd315b6 false_alarm --to feedback/

    Without --to the message is printed, to be sent by other means.
    """
    with refusing():
        row = incident_of(lake, incident)
        payload = message_of(row, action, at or datetime.now(UTC), by or getpass.getuser())
        if to:
            target = target_of(to)
            if target.send([Outgoing(str(row["device_id"]), payload)]):
                raise OSError(f"{to} does not take it now; try again")
            target.close()
    if to:
        told = f"{action} of {row['kind']} at {row['device_id']} sent to {to}."
        err.print(escape(told), highlight=False)
    else:
        sys.stdout.write(payload.decode() + "\n")


def incident_of(lake: str, begins: str) -> dict[str, Any]:
    """The incident whose id begins so: its id, device and kind.

    Raises:
        ValueError: There is none, or there are several, or it is a storm's.
        deltalake.exceptions.TableNotFoundError: There is no lake.
    """
    columns = ["incident_id", "device_id", "kind"]
    opened = open_table(lake, "incidents").to_pyarrow_table(
        columns=columns, filters=[("transition", "=", "opened")]
    )
    found = {row["incident_id"]: row for row in opened.to_pylist()}
    fitting = [row for name, row in found.items() if name.startswith(begins)]
    if len(fitting) != 1:
        raise ValueError(f"{len(fitting)} incidents of {lake} begin with {begins!r}")
    if fitting[0]["device_id"] is None:
        raise ValueError("a storm has no feedback of its own: say it of its members")
    return fitting[0]


def message_of(row: dict[str, Any], action: Action, time: datetime, by: str) -> bytes:
    """The message that `transforms.command.parse_command` reads.

    Example:
        >>> row = {"incident_id": "ae6b", "device_id": "a", "kind": "event"}
        >>> message_of(row, "confirmed", datetime(2026, 1, 5, tzinfo=UTC), "ann")
        b'{"incident_id":"ae6b","device_id":"a","kind":"event","action":"confirmed",...}'
    """
    return msgspec.json.encode({**row, "action": action, "event_time": time, "by": by})
