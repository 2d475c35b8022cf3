"""What optimisers have in common: their state, their start and step, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from eventsim.checks import LIMIT, one_number
from eventsim.errors import ConfigError
from eventsim.parallel import ALONE, Workers
from eventsim.training.layer import Params
from eventsim.training.signal import Array


class State(NamedTuple):
    """What an optimiser remembers: steps taken, and a value per trained parameter and slot, e.g. ``velocity``."""

    steps: int
    slots: dict[str, Params]


class Optimiser(Protocol):
    """Turns gradients into steps."""

    def start(self, params: Params, names: Iterable[str] | None = None) -> State:
        """State before the first step.

        Parameters
        ----------
        params : dict of str to array
        names : iterable of str, optional
            Those to be trained, e.g. a gradient by them; all if left out.

        Raises
        ------
        ConfigError
            A name without a parameter.
        """

    def step(
        self, params: Params, grads: Params, state: State, rate: float, workers: Workers = ALONE
    ) -> tuple[Params, State]:
        """New parameters and state after one step.

        Parameters
        ----------
        params : dict of str to array
            Those without a gradient, e.g. running statistics, are passed on as they are.
        grads : dict of str to array
            One for each name that the state was started with, of its parameter's shape.
        state : State
        rate : float
            Learning rate of this step.
        workers : Workers
            Threads; no number depends on them.

        Raises
        ------
        ConfigError
            Parameters, gradient and state are not of the same names and shapes.
        """


class Slots:
    """Start and step of every optimiser; what differs is the slots, and the rule for one parameter."""

    slots: ClassVar[tuple[str, ...]]

    def start(self, params: Params, names: Iterable[str] | None = None) -> State:
        """State before the first step; see :class:`Optimiser`."""
        trained = list(params if names is None else names)
        if not params.keys() >= set(trained):
            raise misfit("state", f"names {trained}", f"some of {sorted(params)}", "optimiser.start(params, grads)")
        return State(0, {slot: {name: np.zeros_like(params[name]) for name in trained} for slot in self.slots})

    def step(
        self, params: Params, grads: Params, state: State, rate: float, workers: Workers = ALONE
    ) -> tuple[Params, State]:
        """New parameters and state; see :class:`Optimiser`."""
        one_number("learning rate", rate, 0, LIMIT, repair="rate=1e-3", kind=ConfigError)
        _check_names(self.slots, params, grads, state)
        new, after = dict(params), State(state.steps + 1, {slot: {} for slot in self.slots})
        for name, grad in grads.items():
            param = params[name]
            read = [
                flat(name, part, param) for part in (param, grad, *(state.slots[slot][name] for slot in self.slots))
            ]
            written = [np.empty(param.size, param.dtype) for _ in range(1 + len(self.slots))]
            update = partial(self._update_some, after.steps, rate, param.ndim > 1, read, written)
            workers(update, param.size, param.size * (len(read) + len(written)))
            new[name], *slots = (part.reshape(param.shape) for part in written)
            for slot, part in zip(self.slots, slots, strict=True):
                after.slots[slot][name] = part
        return new, after

    def _update_some(
        self, steps: int, rate: float, decays: bool, read: list[Array], written: list[Array], first: int, last: int
    ) -> None:
        """:meth:`_update` entries ``first .. last - 1``."""
        self._update(steps, rate, decays, [part[first:last] for part in read], [part[first:last] for part in written])

    def _update(self, steps: int, rate: float, decays: bool, read: list[Array], written: list[Array]) -> None:
        """Step one flat parameter: ``read`` is itself, its gradient and its slots, ``written`` itself and its slots."""
        raise NotImplementedError


def flat(name: str, part: Array, param: Array) -> Array:
    """``part`` of a parameter as one row of the parameter's type: compiled code does not look at shapes."""
    if part.shape != param.shape:
        raise misfit(
            f"state or gradient of {name}", part.shape, f"shape {param.shape}", "optimiser.start(params, grads)"
        )
    return np.ascontiguousarray(part, param.dtype).reshape(-1)


def _check_names(slots: tuple[str, ...], params: Params, grads: Params, state: State) -> None:
    if state.slots.keys() != set(slots):
        raise misfit("state", sorted(state.slots), f"{', '.join(slots)}", "the optimiser that made the state")
    for kept in state.slots.values():
        if kept.keys() != grads.keys() or not grads.keys() <= params.keys():
            given = f"gradients {sorted(grads)}, state {sorted(kept)}, parameters {sorted(params)}"
            raise misfit("state", given, "one state for each gradient", "optimiser.start(params, grads)")


def misfit(what: str, given: Any, expected: str, repair: str) -> ConfigError:
    """Error of something that is not of the parameters that it came with."""
    return ConfigError(f"The {what} does not fit the parameters.", given=given, expected=expected, repair=repair)
