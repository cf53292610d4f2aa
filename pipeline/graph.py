"""The graph of a wired job, as far as a running job hangs on it."""

from typing import Any

import apache_beam as beam
from apache_beam.coders import Coder
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as proto

from eddyline.pipeline.compatibility import Step

_PAR_DO = common_urns.primitives.PAR_DO.urn
_GROUP = common_urns.primitives.GROUP_BY_KEY.urn


def steps_of(pipeline: beam.Pipeline) -> dict[str, Step]:
    """What an engine is given of a pipeline: the steps that run, by full name.

    Steps that only arrange others (composites) run nothing and are left out.
    """
    made: Any = pipeline.to_runner_api(return_context=True)
    job, context = made
    reader = _Reader(job.components, context)
    return {
        transform.unique_name: reader.step(transform)
        for transform in job.components.transforms.values()
        if transform.unique_name and not transform.subtransforms
    }


class _Reader:
    def __init__(self, components: Any, context: Any) -> None:
        self.components, self.context = components, context

    def step(self, transform: Any) -> Step:
        if transform.spec.urn == _GROUP:
            coder, window = self._taken(transform)
            return Step(coder, window, shuffles=True)
        if transform.spec.urn != _PAR_DO:
            return Step()
        payload: Any = proto.ParDoPayload.FromString(transform.spec.payload)
        states = {key: self._state(spec) for key, spec in payload.state_specs.items()}
        timers = {
            key: proto.TimeDomain.Enum.Name(spec.time_domain)
            for key, spec in payload.timer_family_specs.items()
        }
        position = self._coder(payload.restriction_coder_id) if payload.restriction_coder_id else ""
        keeps = states or timers or position
        coder, window = self._taken(transform) if keeps else ("", "")
        return Step(coder, window, states, timers, len(payload.side_inputs), position)

    def _taken(self, transform: Any) -> tuple[str, str]:
        """The coder and the windows of what a step takes."""
        taken = [self.components.pcollections[i] for i in transform.inputs.values()]
        (coder,) = {one.coder_id for one in taken}
        (window,) = {one.windowing_strategy_id for one in taken}
        return self._coder(coder), self._window(window)

    def _state(self, spec: Any) -> str:
        kind = str(spec.WhichOneof("spec"))
        held = getattr(spec, kind)
        coder = next(
            (value for field, value in held.ListFields() if field.name.endswith("coder_id")), ""
        )
        return f"{kind.removesuffix('_spec')} of {self._coder(str(coder))}"

    def _window(self, key: str) -> str:
        strategy = self.components.windowing_strategies[key]
        name = strategy.window_fn.urn.split(":")[2]
        if name == "global_windows":
            return name
        size = strategy.window_fn.payload.hex()
        mode = proto.AccumulationMode.Enum.Name(strategy.accumulation_mode).lower()
        return f"{name} {size}, {strategy.allowed_lateness} ms late, {mode}"

    def _coder(self, key: str) -> str:
        return _told(self.context.coders.get_by_id(key))


def _told(coder: Coder) -> str:
    inner = coder._get_component_coders()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] there is no other way to look inside
    name = type(coder).__name__
    return f"{name}[{', '.join(map(_told, inner))}]" if inner else name
