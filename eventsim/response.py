"""What neurons do under a given drive, tick by tick, without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import LIMIT, count, numbers
from eventsim.device import Devices, Neuron, refuse
from eventsim.kernels import neuron as kernel
from eventsim.kernels.neuron import Key
from eventsim.keys import check_seed, stream
from eventsim.stochastic import StochasticNeuron

TRIAL_TICKS = 2**32
"""Random numbers of a trial are keyed by trial * TRIAL_TICKS + tick."""


@dataclass(frozen=True, eq=False)
class State:
    """Where neurons stand between two ticks: what a run is continued from.

    Parameters
    ----------
    position : array of float64, shape (n,)
        After reset, in units of ``Devices.unit``.
    refractory : array of int32, shape (n,)
        Ticks in which the neuron still ignores its drive.
    tick : int
        Ticks since the beginning; keys the random numbers.
    """

    position: NDArray[np.float64]
    refractory: NDArray[np.int32]
    tick: int = 0

    def __post_init__(self) -> None:
        repair = "the state of a Response, or None for rest"
        object.__setattr__(self, "position", numbers("position", self.position, repair=repair))
        wait = numbers("refractory time", self.refractory, 0, 2**31 - 1, repair=repair)
        if self.position.ndim != 1 or wait.shape != self.position.shape or (wait != np.rint(wait)).any():
            given = f"shapes {self.position.shape} and {wait.shape}"
            raise refuse("state", given, "one position and one whole number of ticks for each neuron", repair)
        object.__setattr__(self, "refractory", wait.astype(np.int32))
        object.__setattr__(self, "tick", count("tick", self.tick, 0, TRIAL_TICKS - 1))


@dataclass(frozen=True, eq=False)
class Response:
    """What a run of neurons did.

    Parameters
    ----------
    dt : float
        Tick (ns).
    drive : array of float64, shape (ticks, n)
        Bias included.
    position : array of float64, shape (ticks, n)
        At the end of each tick, before reset (nm); ``inf`` where a skyrmion ran away. For models that switch by
        chance ``inf`` (state 1 for the superparamagnetic one) stands for a spike.
    spikes : array of bool, shape (ticks, n)
    state : State
        At the end.
    """

    dt: float
    drive: NDArray[np.float64]
    position: NDArray[np.float64]
    spikes: NDArray[np.bool_]
    state: State

    @property
    def rate(self) -> NDArray[np.float64]:
        """Spikes per time of each neuron (MHz), shape (n,)."""
        return np.asarray(1e3 * self.spikes.mean(axis=0) / self.dt)


def rest(devices: Devices) -> State:
    """State of neurons at rest."""
    return State(devices.rest / devices.unit, np.zeros(len(devices), np.int32))


def respond(
    neurons: Neuron | Devices,
    drive: ArrayLike,
    *,
    bias: ArrayLike = 0.0,
    state: State | None = None,
    seed: int | None = None,
    trial: int = 0,
) -> Response:
    """Drive neurons tick by tick: exact step, threshold, reset, refractory time, in float64.

    Parameters
    ----------
    neurons : Neuron or Devices
        A model for one nominal neuron, or drawn devices.
    drive : array_like, shape (ticks,) or (ticks, n)
        Dimensionless drive of each tick, one for all neurons or one for each.
    bias : array_like, shape () or (n,)
        Constant drive on top of it.
    state : State, optional
        To go on from; at rest if left out.
    seed : int, optional
        Of the draws of stochastic models; required there. Devices of another name or chip have draws of their own.
    trial : int
        Trials are independent, also in their cycle-to-cycle variation, which otherwise follows the seed of the devices.

    Returns
    -------
    Response

    Raises
    ------
    DeviceError
        Drives or states of the wrong shape or not finite, or a stochastic model without a seed.
    """
    devices = neurons.identical(1) if isinstance(neurons, Neuron) else neurons
    if not isinstance(devices, Devices):
        raise refuse("neurons", repr(neurons), "a Neuron or Devices", "respond(MTJ(), drive)")
    n, nominal = len(devices), devices.nominal
    current = _drive(drive, bias, n)
    here = rest(devices) if state is None else state
    if not isinstance(here, State) or len(here.position) != n:
        given = f"one of {len(here.position)} neurons" if isinstance(here, State) else type(here).__name__
        raise refuse("state", given, f"a State of {n} neurons", "respond(...).state, or None for rest")
    if isinstance(nominal, StochasticNeuron) and seed is None:
        raise refuse("seed", None, "a seed: this model switches by chance", "respond(..., seed=0)")
    counter = count("trial", trial, 0, 2**31 - 1) * TRIAL_TICKS + here.tick
    drawn = (devices.origin.name, str(devices.origin.chip)) if devices.origin else ()
    key = Key(
        np.uint64(check_seed(0 if seed is None else seed)),
        np.uint64(stream("respond", *drawn)),
        np.uint64(counter),
        np.uint64(0),
    )
    run = _Run(devices, key, here)
    # Under cycle-to-cycle variation every tick has devices of its own.
    for block in np.split(current, len(current)) if devices.varies else [current]:
        run.advance(block)
    return run.response(current)


def _drive(drive: ArrayLike, bias: ArrayLike, n: int) -> NDArray[np.float64]:
    """Drive of every tick and neuron, bias included, as an array of its own."""
    given, constant = (numbers(name, v, repair="0.4") for name, v in (("drive", drive), ("bias", bias)))
    given = given[:, None] if given.ndim == 1 else given
    fits = given.ndim == 2 and len(given) and given.shape[1] in (1, n) and constant.shape in ((), (1,), (n,))
    if not fits or not (np.abs(given) <= LIMIT / 2).all() or not (np.abs(constant) <= LIMIT / 2).all():
        raise refuse(
            "drive or bias",
            f"shapes {np.shape(drive)} and {np.shape(bias)}",
            f"({{ticks}},) or ({{ticks}}, {n}) and () or ({n},), finite, at most {LIMIT / 2:g}",
            "drive=np.full(100, 0.4)",
        )
    return np.ascontiguousarray(np.broadcast_to(given + constant, (len(given), n)))


class _Run:
    """A run in the making: the state between blocks of ticks that share their devices."""

    def __init__(self, devices: Devices, key: Key, state: State) -> None:
        self.devices, self.key, self.tick = devices, key, state.tick
        self.x, self.wait = state.position.copy(), state.refractory.copy()
        self.position: list[NDArray[np.float64]] = []
        self.spikes: list[NDArray[np.bool_]] = []

    def advance(self, drive: NDArray[np.float64]) -> None:
        now = self.devices.in_tick(int(self.key.counter))
        arrays, reached = now.arrays(np.float64), np.empty_like(drive)
        scale = self.devices.unit / now.unit
        self.x *= scale
        kernel.respond(self.devices.nominal.model, self.x, self.wait, drive, arrays, self.key, reached)
        self.x /= scale
        self.spikes.append(reached >= arrays.threshold)
        self.position.append(reached * now.unit)
        self.key = self.key._replace(counter=self.key.counter + np.uint64(len(drive)))
        self.tick += len(drive)

    def response(self, drive: NDArray[np.float64]) -> Response:
        state = State(self.x, self.wait, self.tick)
        dt = float(self.devices.nominal.dt)
        return Response(dt, drive, np.concatenate(self.position), np.concatenate(self.spikes), state)
