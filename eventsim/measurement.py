"""Device parameters from measured positions: the exact flow, fitted to traces of a skyrmion under constant drives.

The model is the equation of :class:`eventsim.MTJ`, ``k1 dx/dt = x**2 + k2 x + q`` with ``q = k1 gain I threshold/dt``,
solved in closed form between the rows of a table: an output-error fit, whose only noise is that of the positions.
The start of a trace was measured no better than its other positions, so it is fitted too. Taken as exact, its error
would run through the whole trace, bias the parameters and make their standard errors too small.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls
from scipy.special import chdtr, chdtrc

from eventsim.errors import ConfigError, DataError, OutputError
from eventsim.kernels.traces import settle
from eventsim.store import fingerprint, new_folder, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eventsim import MTJ

Floats = NDArray[np.float64]

UNITS = {"k1": "nm ns", "k2": "nm", "gain": ""}
"""Parameters that a table of positions can determine, with their units."""

_LIMIT = 1e6  # largest magnitude of a field of a table (in its unit) and of a fitted parameter
_REQUIRED, _OPTIONAL = ("time_ns", "drive", "position_nm"), ("trace", "sigma_nm")


class Table(NamedTuple):
    """Rows of the file, in ns and nm; trace i is ``bounds[i] .. bounds[i + 1] - 1``; sigma is 1 where there is none."""

    bounds: NDArray[np.int64]
    time: Floats
    drive: Floats
    position: Floats
    sigma: Floats


def _intervals(table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last rows of the intervals of constant drive."""
    ends = np.delete(np.arange(len(table.time)), table.bounds[:-1])
    return ends - 1, ends


def _problem(path: Path, what: str, given: object, expected: str, repair: str) -> DataError:
    return DataError(f"The table {path.name} {what}.", given=f"{given} ({path})", expected=expected, repair=repair)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Number and fields of every line that is neither empty nor a comment, the header first."""
    try:
        lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)
        kept = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
        return [(number, [field.strip() for field in next(csv.reader([line]))]) for number, line in kept]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise _problem(path, "is missing or not readable", cause, "a CSV file in UTF-8", "correct the path") from None


def _check_header(path: Path, header: list[str]) -> None:
    wrong = [f"has no column {name}" for name in _REQUIRED if name not in header]
    known = [name for name in _REQUIRED + _OPTIONAL if header.count(name) == 1]
    wrong += [f"has an unknown or repeated column {name!r}" for name in header if name not in known]
    if wrong:
        columns = ", ".join(_REQUIRED) + "; optionally " + ", ".join(_OPTIONAL)
        raise _problem(path, wrong[0], ", ".join(header) or "no header", columns, "add, rename or delete the column")


def _numbers(path: Path, header: list[str], line: int, fields: list[str]) -> list[float]:
    values, repair = [], "correct or delete the line"
    if len(fields) != len(header):
        raise _problem(path, f"has a torn line {line}", f"{len(fields)} fields", f"{len(header)} fields", repair)
    for name, field in zip(header, fields, strict=True):
        try:
            values.append(float(field))
        except ValueError:
            values.append(math.nan)
        whole, positive = name == "trace", name == "sigma_nm"
        if not abs(values[-1]) <= _LIMIT or (whole and values[-1] % 1) or (positive and values[-1] <= 0):
            expected = f"a {'positive ' * positive}{'whole ' * whole}number of magnitude at most {_LIMIT:g}"
            raise _problem(path, f"has an unusable {name} in line {line}", repr(field), expected, repair)
    return values


def _check_traces(path: Path, lines: list[int], time: Floats, trace: Floats, bounds: NDArray[np.int64]) -> None:
    for first, last in pairwise(bounds.tolist()):
        name, row = f"trace {trace[first]:g}", first
        back = np.flatnonzero(np.diff(time[first:last]) <= 0)
        if trace[first] in trace[:first]:
            what = f"has {name} in two places"
        elif last - first < 2:
            what = f"has a {name} of a single row"
        elif back.size:
            what, row = "has an unsorted time_ns", first + int(back[0]) + 1
        else:
            continue
        expected = "each trace in one piece, at least two rows long, with times that ascend strictly"
        repair = "sort or delete rows, or tell traces apart in the column trace"
        raise _problem(path, f"{what}, line {lines[row]}", f"{name} at {time[row]:g} ns", expected, repair)


def _read(path: Path) -> tuple[Table, bool]:
    """Read and check a table, whose format stands in :func:`fit`; whether it has sigmas of its own."""
    lines = _lines(path)
    header = lines[0][1] if lines else []
    _check_header(path, header)
    rows = np.reshape([_numbers(path, header, *line) for line in lines[1:]], (-1, len(header)))
    columns = dict(zip(header, rows.T.copy(), strict=True))
    time, drive, position = (columns[name] for name in _REQUIRED)
    trace = columns.get("trace", np.zeros(len(rows)))
    bounds = np.r_[0, np.flatnonzero(np.diff(trace)) + 1, len(rows)][: len(rows) + 1]
    _check_traces(path, [number for number, _ in lines[1:]], time, trace, bounds)
    return Table(bounds, time, drive, position, columns.get("sigma_nm", np.ones(len(rows)))), "sigma_nm" in header


class _Model:
    """Weighted residuals of traces as a function of the logarithms of the fitted parameters, ``free`` of the three.

    A skyrmion that runs away is stopped by a wall, the end of its track, at the furthest measured position plus the
    measured span (rest included), until the drive takes it back. Residuals stay finite, and are larger there than any
    of the data; derivatives are 0.
    """

    def __init__(self, table: Table, nominal: MTJ, free: list[int]) -> None:
        self.table, self.free = table, free
        self.gap = np.diff(table.time, prepend=0.0)
        self.velocity = nominal.threshold / nominal.dt
        self.given = np.log([nominal.k1, -nominal.k2, nominal.gain])
        self.wall = float(table.position.max() + np.ptp(np.r_[0, table.position]) + 1e-3)

    def path(self, logs: Floats) -> tuple[Floats, Floats]:
        """Positions (nm), shape (rows,), and derivatives by start and all logarithms, shape (rows, 4)."""
        values = self.given.copy()
        values[self.free] = logs
        k1, length, gain = np.exp(values)
        x, by = np.empty(len(self.gap)), np.empty((len(self.gap), 4))
        q = k1 * gain * self.velocity * self.table.drive
        settle(self.table, (q, length / 2, self.gap / k1, self.wall), x, by)
        return x, by

    def residuals(self, logs: Floats) -> Floats:
        return (self.path(logs)[0] - self.table.position) / self.table.sigma

    def jacobian(self, logs: Floats) -> Floats:
        """Derivatives along the best starts, which follow the parameters (variable projection, after Kaufman)."""
        by = self.path(logs)[1] / self.table.sigma[:, None]
        by_start, first = by[:, :1], self.table.bounds[:-1]
        shift = np.add.reduceat(by_start * by, first) / np.add.reduceat(by_start**2, first)
        return (by - by_start * np.repeat(shift, np.diff(self.table.bounds), axis=0))[:, 1:][:, self.free]

    def solve(self, logs: Floats) -> Any:
        edge = math.log(_LIMIT)
        start = np.clip(logs, 0.99 * -edge, 0.99 * edge)
        return least_squares(self.residuals, start, self.jacobian, (-edge, edge), ftol=1e-13, xtol=1e-13, gtol=1e-15)


def _regress(pairs: _Model) -> Floats:
    """Starting values: regression of displacements on x**2, -x and drive with coefficients that are not negative."""
    position, drive = pairs.table.position, pairs.table.drive[1::2]
    middle = (position[::2] + position[1::2]) / 2
    columns = pairs.gap[1::2, None] * np.stack([middle**2, -middle, pairs.velocity * drive], axis=1)
    scale = np.maximum(np.linalg.norm(columns, axis=0), 1e-100)
    curvature, leak, gain = nnls(columns / scale, np.diff(position)[::2])[0] / scale
    k1 = 1 / curvature if curvature > 0 else math.exp(pairs.given[0])
    found = np.array([k1, leak * k1, gain])
    return np.where(found > 0, np.log(np.maximum(found, 1e-100)), pairs.given)


@dataclass(frozen=True, eq=False)
class Fit:
    """A device fitted to a table.

    ``standard_errors`` of the fitted parameters are in their units; they follow from ``sigma_nm`` where the file has
    it, and from the scatter of the residuals otherwise. ``correlation`` is that of these errors, in the same order.
    ``residuals`` are measured minus fitted positions (nm), shape (rows,). ``chi_square`` is the reduced one, about 1
    if ``sigma_nm`` is right, and None without that column.
    """

    device: MTJ
    standard_errors: dict[str, float]
    correlation: Floats
    residuals: Floats
    chi_square: float | None
    iterations: int
    path: Path
    table: Table

    @property
    def freedom(self) -> int:
        """Degrees of freedom: rows less fitted parameters and fitted starts of traces."""
        return len(self.residuals) - len(self.standard_errors) - len(self.table.bounds) + 1

    @property
    def rms(self) -> float:
        """Root mean square of the residuals (nm)."""
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def warnings(self) -> list[str]:
        """What a reader of the parameters should know of them, one sentence each."""
        length, threshold, found = -self.device.k2, self.device.threshold, []
        if beyond := np.count_nonzero(self.table.position - self.residuals > length):
            found.append(f"in {beyond} rows the skyrmion is beyond the unstable point {length:.4g} nm (run-away)")
        if threshold >= length:
            found.append(f"the threshold {threshold:g} nm is beyond the unstable point: it can fire without input")
        for tail, word in ((chdtrc, "larger"), (chdtr, "smaller")):
            if self.chi_square is not None and tail(self.freedom, self.freedom * self.chi_square) < 1e-3:
                found.append(f"the residuals are {word} than sigma_nm says: mind the model and the errors")
        return found

    def __str__(self) -> str:
        rows = f"{len(self.residuals)} rows in {len(self.table.bounds) - 1} trace(s)"
        lines = [f"{self.path.name}: {rows}, {self.freedom} degrees of freedom, {self.iterations} iterations"]
        for name, unit in UNITS.items():
            value, error = getattr(self.device, name), self.standard_errors.get(name)
            digits = max(1 - math.floor(math.log10(max(error or 0, 1e-9))), 0)
            shown = f"{value:12g}   (given)" if error is None else f"{value:12.{digits}f} ± {error:.{digits}f}"
            lines.append(f"  {name:<5}{shown} {unit}".rstrip())
        chi = f", reduced chi-square {self.chi_square:.3f}" if self.chi_square is not None else ""
        lines.append(f"  rms of the residuals {self.rms:.3g} nm{chi}")
        return "\n".join(lines + [f"  warning: {warning}" for warning in self.warnings])


def _covariance(model: _Model, best: Any, noise: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Covariance of the logarithms for residuals of variance 1, and which of them the table leaves open.

    Open is what no row depends on, what others can replace, and what is uncertain by 100 % or at the limit.
    """
    scale = np.linalg.norm(best.jac, axis=0)
    scale[scale <= 1e-9 * model.wall * np.linalg.norm(1 / model.table.sigma)] = np.inf
    _, singular, directions = np.linalg.svd(best.jac / scale, full_matrices=False)
    lost = (np.abs(directions[singular < 1e-8]) > 0.1).any(axis=0)
    covariance = (directions.T / np.maximum(singular, 1e-8) ** 2) @ directions / np.outer(scale, scale)
    return covariance, lost | (np.abs(best.x) > math.log(_LIMIT) - 1e-3) | (noise * np.diag(covariance) > 1)


def _solve(table: Table, nominal: MTJ, free: list[int]) -> tuple[_Model, Any, int]:
    """Minimum over whole traces, found from that over single intervals, in which nothing can run away for long."""
    rows = np.stack(_intervals(table), axis=1).ravel()
    pairs = Table(np.arange(0, len(rows) + 1, 2), *(column[rows] for column in table[1:]))
    rough, model = _Model(pairs, nominal, free), _Model(table, nominal, free)
    near = min((rough.solve(logs[free]) for logs in (_regress(rough), rough.given)), key=lambda found: found.cost)
    best = model.solve(near.x)
    return model, best, int(near.njev + best.njev)


def fit(path: str | Path, *, parameters: Sequence[str] = tuple(UNITS), nominal: MTJ | None = None) -> Fit:
    """Fit device parameters to a table of measured positions.

    Weighted least squares of the positions on the exact flow (Li et al., equation 1, in closed form), over log k1,
    log -k2, log gain and the start of every trace. The search goes from ``nominal`` and from a regression of finite
    differences over single intervals to whole traces.

    Parameters
    ----------
    path : str or Path
        CSV file: a header, then a line per measurement; empty lines and lines that start with ``#`` are skipped.
        Columns ``time_ns`` (ascending within a trace), ``drive`` (dimensionless, constant since the previous row of
        the trace; without meaning in its first), ``position_nm``, optionally ``trace`` (whole number; the rows of a
        trace stand together) and ``sigma_nm`` (standard deviation of the position). A reset begins a new trace.
    parameters : sequence of str
        What to fit, some of ``k1``, ``k2``, ``gain``.
    nominal : MTJ, optional
        Device that has the other parameters, one with the defaults if left out. The gain refers to its threshold and
        tick, which give the drive its scale.

    Raises
    ------
    ConfigError
        ``parameters`` are not such names.
    DataError
        The table is unusable, has too few rows, or does not determine a parameter.
    """
    from eventsim import MTJ

    nominal = MTJ() if nominal is None else nominal
    if not isinstance(nominal, MTJ) or not isinstance(path, str | Path):
        given = f"{path!r}, {nominal!r}"
        raise ConfigError("There is nothing to fit.", given=given, expected="a path and an MTJ", repair='fit("t.csv")')
    path = Path(path)
    names = [name for name in UNITS if isinstance(parameters, Sequence) and name in parameters]
    if isinstance(parameters, str) or not names or not set(parameters) <= set(names):
        expected, repair = "some of " + ", ".join(UNITS), 'parameters=("k1", "k2") takes the gain as given'
        raise ConfigError("The parameters are unknown.", given=repr(parameters), expected=expected, repair=repair)
    table, weighted = _read(path)
    freedom = len(table.time) - len(names) - len(table.bounds) + 1
    if freedom < 1:
        expected = f"more rows than the {len(names)} parameters and the starts of {len(table.bounds) - 1} traces"
        raise _problem(path, "is too short", f"{len(table.time)} rows", expected, "measure more per trace")
    model, best, iterations = _solve(table, nominal, [list(UNITS).index(name) for name in names])
    variance = 2 * float(best.cost) / freedom
    noise = 1.0 if weighted else variance
    covariance, lost = _covariance(model, best, noise)
    if not best.success:
        raise _problem(path, "could not be fitted", best.message, "a minimum", "look for outliers and resets")
    if lost.any():
        unknown = ", ".join(np.array(names)[lost])
        expected = "drives other than 0 for gain; decays and pulses over a good part of the track for k1 and k2"
        repair = f"measure those, or leave {unknown} out of parameters and give it in nominal"
        raise _problem(path, f"does not determine {unknown}", "too little motion", expected, repair)
    values = np.exp(best.x) * [-1 if name == "k2" else 1 for name in names]
    relative = np.sqrt(np.diag(covariance))
    fitted = dict(zip(names, values.tolist(), strict=True))
    beyond = nominal.threshold > -fitted.get("k2", nominal.k2)  # the table says where the unstable point is: a warning
    device = replace(nominal, **fitted, allow_self_firing=nominal.allow_self_firing or beyond)
    standard_errors = dict(zip(names, (np.abs(values) * relative * math.sqrt(noise)).tolist(), strict=True))
    residuals, chi_square = table.position - model.path(best.x)[0], variance if weighted else None
    correlation = covariance / np.outer(relative, relative)
    return Fit(device, standard_errors, correlation, residuals, chi_square, iterations, path, table)


def draw_fit(data: Axes, rest: Axes, fitted: Fit) -> None:
    """Draw the measured positions with the fitted exact curves between them, and the residuals on other axes."""
    from eventsim.plot import ACCENT, INK, QUIET, WARM

    table, points = fitted.table, 16
    before, after = _intervals(table)
    within = (table.time[after] - table.time[before])[:, None] * np.linspace(0, 1, points)
    curves = fitted.device.step((table.position - fitted.residuals)[before, None], table.drive[after, None], within)
    lifts = points * np.searchsorted(after, table.bounds[1:-1])  # the pen leaves the paper between traces
    pen = [np.insert(line.ravel(), lifts, np.nan) for line in (table.time[before, None] + within, curves)]
    data.plot(*pen, color=ACCENT, linewidth=1.2, label="fit, exact between the rows")
    data.plot(table.time, table.position, ".", color=INK, markersize=4, label="measured")
    data.axhline(-fitted.device.k2, color=QUIET, linestyle=":", linewidth=1, label="unstable point")
    data.set(ylabel="skyrmion position (nm)", title=f"{fitted.path.name}: measured and fitted")
    data.legend(fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    sigma = None if fitted.chi_square is None else table.sigma
    rest.axhline(0, color=QUIET, linewidth=1)
    rest.errorbar(table.time, fitted.residuals, sigma, fmt=".", color=WARM, markersize=4, elinewidth=0.7)
    rest.set(xlabel="time (ns)", ylabel="residual (nm)", title=f"measured minus fitted, rms {fitted.rms:.3g} nm")


def write_report(fitted: Fit, folder: str | Path) -> None:
    """Write a new folder of ``fit.json`` (with the path and the SHA-256 of the table), ``fit.txt`` and ``fit.png``.

    Raises
    ------
    OutputError
        The folder exists already or cannot be made.
    """
    from eventsim.plot import new_figure, styled

    summary = {
        "table": str(fitted.path),
        "table_sha256": fingerprint(**fitted.table._asdict()),
        "device": asdict(fitted.device),
        "correlation": fitted.correlation.tolist(),
        **{name: getattr(fitted, name) for name in ("standard_errors", "rms", "chi_square", "freedom", "warnings")},
    }
    with new_folder(Path(folder), OutputError) as part, styled():
        write_json(part / "fit.json", summary)
        write_text(part / "fit.txt", f"{fitted}\n")
        figure = new_figure(8, 5.5)
        data, rest = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        draw_fit(data, rest, fitted)
        figure.savefig(part / "fit.png")
