"""Teachers in ONNX files, run by onnxruntime (extra ``onnx``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from eventsim.errors import CacheError, ConfigError
from eventsim.training.dataset import Dataset
from eventsim.training.keyed import Ints
from eventsim.training.signal import Array, size_of
from eventsim.training.taught import Taught

Order = Literal["channels_first", "channels_last"]

_KINDS: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


@dataclass(frozen=True, eq=False)
class OnnxTeacher:
    """A network in an ONNX file.

    Parameters
    ----------
    path : path
    image : tuple of int
        Height and width of a sample of the data set.
    order : "channels_first" or "channels_last"
        Of the samples as the network wants them, where it does not take rows.
    mean, std : float or sequence of float
        The network is given ``(x - mean) / std``; one number, or one for each channel.
    features : sequence of str
        Outputs that are feature maps; the logits are the first output that is not named here.
    threads : int

    Raises
    ------
    ConfigError
        onnxruntime is not installed, an unknown order or output, or a deviation that is not positive.
    CacheError
        The file is missing or no network of one input of real numbers.

    Notes
    -----
    Unlike those of this program's models, answers may differ in their last bits between machines and sizes of batches.
    """

    path: Path
    image: tuple[int, ...]
    order: Order = "channels_first"
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    features: Sequence[str] = ()
    threads: int = 1
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        std, path = np.asarray(self.std, np.float64), Path(self.path)
        if (
            self.order not in get_args(Order)
            or not (np.isfinite(std) & (std > 0)).all()
            or not np.isfinite(self.mean).all()
        ):
            raise ConfigError(
                "The preprocessing of the ONNX teacher is not usable.",
                given=f"order {self.order!r}, mean {self.mean}, std {self.std}",
                expected=f"{' or '.join(get_args(Order))}, a finite mean, a positive deviation",
                repair="OnnxTeacher(path, image, mean=0.1307, std=0.3081)",
            )
        session = _session(path, self.threads)
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "fingerprint", hashlib.sha256(path.read_bytes()).hexdigest())
        inputs, outputs = session.get_inputs(), [output.name for output in session.get_outputs()]
        if len(inputs) != 1 or inputs[0].type not in _KINDS or len(inputs[0].shape) < 2:
            raise CacheError(
                "The ONNX network is no teacher.",
                given=f"{path}, inputs " + ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs),
                expected="one input of real numbers, first axis the batch",
                repair="export it with the samples as its only input",
            )
        if not set(self.features) < set(outputs):
            raise ConfigError(
                "The ONNX network has no such outputs.",
                given=", ".join(self.features),
                expected=f"some of {', '.join(outputs)}, but not all of them",
                repair="export it with those layers as outputs",
            )

    @property
    def name(self) -> str:
        """That of the file."""
        return Path(self.path).name

    @property
    def network(self) -> Any:
        """What is asked of it."""
        return {"features": list(self.features)}

    @property
    def preprocessing(self) -> Any:
        """Order of axes, mean and deviation."""
        return {"order": self.order, "mean": np.asarray(self.mean).tolist(), "std": np.asarray(self.std).tolist()}

    @property
    def _input(self) -> Any:
        return self._session.get_inputs()[0]  # type: ignore[attr-defined]

    def _shape(self, inputs: int) -> tuple[int, ...]:
        """Shape of a sample as the network wants it, if it takes samples of so many inputs at all."""
        channels = inputs // size_of(self.image)
        rank = len(self._input.shape) - 1
        space = {1: (), 2: (size_of(self.image),)}.get(rank, self.image)
        shape = (inputs,) if rank == 1 else (channels, *space) if self.order == "channels_first" else (*space, channels)
        wanted = tuple(self._input.shape[1:])
        if len(shape) != rank or any(isinstance(n, int) and n != m for n, m in zip(wanted, shape, strict=True)):
            raise CacheError(
                f"The ONNX network {self.name} takes samples of another shape.",
                given=f"input {self._input.name} of shape {tuple(self._input.shape)}",
                expected=f"(batch, {', '.join(map(str, shape))}) for samples of {inputs} inputs, {self.order}",
                repair="a network that was exported for this data set, or the other order: "
                f"--order {next(o for o in get_args(Order) if o != self.order)}",
            )
        return shape

    def check(self, dataset: Dataset) -> None:
        if dataset.ticks > 1:
            raise CacheError(
                f"The ONNX network {self.name} cannot be asked about recordings.",
                given=f"{dataset.name}, {dataset.ticks} frames a sample",
                expected="samples without ticks",
                repair="FunctionTeacher, whose function knows the order of frames and axes",
            )
        self._shape(dataset.x.shape[1])

    def __call__(self, x: Array, ids: Ints, draw: int) -> Taught:
        shape = self._shape(x.shape[1])
        images = (x.reshape(len(x), size_of(self.image), -1) - np.asarray(self.mean)) / np.asarray(self.std)
        if self.order == "channels_first" and len(shape) > 1:
            images = images.transpose(0, 2, 1)
        images = np.ascontiguousarray(images.reshape(len(x), *shape), _KINDS[self._input.type])
        names = [output.name for output in self._session.get_outputs()]  # type: ignore[attr-defined]
        found = dict(zip(names, map(np.concatenate, zip(*self._run(images), strict=True)), strict=True))
        logits = next(value[: len(x)] for name, value in found.items() if name not in self.features)
        return Taught(logits.astype(np.float32), {name: found[name][: len(x)] for name in self.features})

    def _run(self, images: Array) -> list[list[Array]]:
        """Outputs for all samples, in batches of the size that the network wants, the last one filled up."""
        size = self._input.shape[0] if isinstance(self._input.shape[0], int) else len(images)
        images = np.concatenate([images, np.repeat(images[-1:], -len(images) % size, axis=0)])
        parts = np.split(images, range(size, len(images), size))
        try:
            return [self._session.run(None, {self._input.name: part}) for part in parts]  # type: ignore[attr-defined]
        except Exception as cause:  # onnxruntime's own types
            raise CacheError(
                f"The ONNX network {self.name} cannot be run.",
                given=f"samples of shape {images.shape}: {cause}",
                expected="a network that takes them",
                repair="export it for samples of this shape, with a free first axis",
            ) from None


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "onnxruntime is not installed.",
            given=path,
            expected="the extra onnx, which runs ONNX files",
            repair="pip install 'eventsim-mtj[onnx]'",
        ) from None
    if not path.is_file():
        raise CacheError("There is no ONNX file.", given=path, expected="a network", repair="correct the path")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # onnxruntime's own types
        raise CacheError(
            "The ONNX file cannot be read.",
            given=f"{path}: {cause}",
            expected="a network that onnxruntime runs",
            repair="export it again, or to an older opset",
        ) from None
