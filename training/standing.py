"""Where a training stands between two steps, as a value and as arrays of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from eventsim.training.layer import Params
from eventsim.training.monitor import Epoch, Tally
from eventsim.training.optim import State

Arrays = Mapping[str, NDArray[Any]]


class Standing(NamedTuple):
    """Everything that the next step depends on, and what has been found so far."""

    params: Params
    """With running statistics."""
    best: Params
    """Of the epoch that is kept."""
    state: State | None = None
    """Of the optimiser; None before the first step."""
    mean: Params | None = None
    """Running average of the parameters, where one is kept."""
    history: tuple[Epoch, ...] = ()
    tally: Tally = Tally()
    """Of the epoch that is not finished."""

    @property
    def epoch(self) -> int:
        """Number of the epoch that is not finished, from 1."""
        return len(self.history) + 1

    @property
    def steps(self) -> int:
        """Steps since the start."""
        return 0 if self.state is None else self.state.steps

    @property
    def judged(self) -> Params:
        """What validation sees: the average, where one is kept."""
        return self.params if self.mean is None else self.mean

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name: ``params/...``, ``best/...``, ``average/...``, ``optimiser/<slot>/...``."""
        parts: dict[str, Params] = {"params": self.params, "best": self.best}
        if self.mean is not None:
            parts["average"] = self.mean
        if self.state is not None:
            parts |= {f"optimiser/{slot}": values for slot, values in self.state.slots.items()}
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def numbers(self) -> dict[str, Any]:
        """All the rest, as JSON values."""
        history = [epoch._asdict() for epoch in self.history]
        slots = None if self.state is None else list(self.state.slots)
        return {"steps": self.steps, "slots": slots, "history": history, "tally": self.tally._asdict()}


def restored(arrays: Arrays, numbers: Mapping[str, Any], names: list[str]) -> Standing:
    """Put a standing together again; ``names`` of the parameters in their order.

    Raises
    ------
    KeyError, TypeError
        Something is missing.
    """

    def part(prefix: str, those: list[str]) -> Params:
        return {name: arrays[f"{prefix}/{name}"] for name in those}

    slots, state = numbers["slots"], None
    if slots is not None:
        each = {slot: [n for n in names if f"optimiser/{slot}/{n}" in arrays] for slot in slots}
        state = State(numbers["steps"], {slot: part(f"optimiser/{slot}", those) for slot, those in each.items()})
    averaged = any(name.startswith("average/") for name in arrays)
    return Standing(
        part("params", names),
        part("best", names),
        state,
        part("average", names) if averaged else None,
        tuple(Epoch(**line) for line in numbers["history"]),
        Tally(**numbers["tally"]),
    )
