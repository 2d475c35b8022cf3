"""Small files in the layouts of published data sets, and the checksums that they have."""

import gzip
import hashlib
import io

import numpy as np


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def idx(array):
    """A file of the idx format."""
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def pictures(rows, shape=(3, 32, 32), kinds=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (rows, *shape), np.uint8), rng.integers(0, kinds, rows).astype(np.uint8)


def write_idx(folder, packed):
    """Twenty-four images and six for test; gives pixels, labels and checksums by name."""
    folder.mkdir(parents=True)
    images, labels = pictures(30, (4, 5))
    arrays = [images[:24], labels[:24], images[24:], labels[24:]]
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    for name, array in zip(names, arrays, strict=True):
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return images, labels, {name: sha256(idx(array)) for name, array in zip(names, arrays, strict=True)}


def write_npz(path, **arrays):
    """An .npz file; gives its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **arrays)
    path.write_bytes(content.getvalue())
    return sha256(content.getvalue())


def residual(images):
    """Images as the small copy of CIFAR-10 stores them."""
    x = images.transpose(1, 0, 2, 3).copy()
    x[0] -= x[1]
    x[2] -= x[1]
    for axis in (2, 3):
        x = np.diff(x, axis=axis, prepend=np.uint8(0))
    return x
