"""dlib's recogniser by NumPy: its own weights, multiplied by BLAS, which dlib's wheels are built without.

The network is the ResNet of dlib's example ``dnn_face_recognition_ex.cpp`` (King 2017): a convolution, 14 residual
blocks of two convolutions each, the mean over the place, and a matrix. Its numbers are those of dlib's own
``face_recognition_model_v1`` (a test compares them, within 1e-5) in about a fifth of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from reid_audit.records import WeightsError

Maps = NDArray[np.float32]  # what a layer makes of some pictures is (channels, pictures, rows, columns)

_CONVOLUTIONS = 29
_HALVING = (0, 7, 15, 21, 27)  # the convolutions of stride 2: of the picture, and the first of four blocks
_MEAN_RGB = np.array([122.782, 117.001, 104.298], np.float32)[:, None, None, None]  # of the training pictures
_TENSOR = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2.{1,6}(?=\x01\x02)", re.DOTALL)


def _unfold(maps: Maps, size: int, stride: int) -> Maps:
    # (size x size, channels, pictures, rows, columns): the maps as each number of a filter or a pool sees them
    windows = sliding_window_view(maps, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(4, 5, 0, 1, 2, 3).reshape(size**2, *windows.shape[:4])


@dataclass(frozen=True)
class _Convolution:
    filters: Maps  # (to, size x size x from), the gains of the affine layer after it taken in
    offsets: Maps  # (to, 1, 1, 1)
    size: int
    stride: int

    @classmethod
    def of(cls, numbers: Maps, affine: Maps, *, size: int, stride: int) -> _Convolution:
        gains, offsets = affine.reshape(2, -1)
        filters, biases = numbers[: -gains.size], numbers[-gains.size :]
        filters = filters.reshape(gains.size, -1, size, size).transpose(0, 2, 3, 1).reshape(gains.size, -1)
        return cls(filters * gains[:, None], (biases * gains + offsets)[:, None, None, None], size, stride)

    def __call__(self, maps: Maps) -> Maps:
        if self.stride == 1:
            maps = np.pad(maps, ((0, 0), (0, 0), *[(self.size // 2,) * 2] * 2))
        seen = _unfold(maps, self.size, self.stride)
        return (self.filters @ seen.reshape(self.filters.shape[1], -1)).reshape(-1, *seen.shape[2:]) + self.offsets


def _add(maps: Maps, shortcut: Maps) -> Maps:
    # dlib adds maps of different shapes as if the missing ends were zero.
    total = np.zeros(np.maximum(maps.shape, shortcut.shape), np.float32)
    for part in (maps, shortcut):
        total[tuple(slice(size) for size in part.shape)] += part
    return total


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
    # dlib's integers: a byte that says how many bytes follow, lowest first
    count = data[at]
    return int.from_bytes(data[at + 1 : at + 1 + count], "little"), at + 1 + count


def _read_tensors(data: bytes) -> Iterator[Maps]:
    # The numbers of each layer, flat, in the order from the picture on.
    at = 0
    while layer := _TENSOR.search(data, at):
        at, header = layer.end(), []
        for _ in range(5):  # a version, then samples, channels, rows, columns
            number, at = _read_integer(data, at)
            header.append(number)
        count = prod(header[1:])
        yield np.frombuffer(data, "<f4", count, at)
        at += 4 * count


class DlibNetwork:
    """The network that gives dlib's 128 numbers of an aligned face.

    Parameters
    ----------
    path
        ``dlib_face_recognition_resnet_model_v1.dat``, or a model of the same layers that dlib has written.

    Raises
    ------
    WeightsError
        The file holds other layers.
    """

    def __init__(self, path: Path) -> None:
        try:
            *layers, matrix = _read_tensors(path.read_bytes())
            self._stem, *rest = (
                _Convolution.of(numbers, affine, size=3 if layer else 7, stride=2 if layer in _HALVING else 1)
                for layer, numbers, affine in zip(range(_CONVOLUTIONS), layers[::2], layers[1::2], strict=True)
            )
            self._blocks = list(zip(rest[::2], rest[1::2], strict=True))
            self._matrix = matrix.reshape(-1, 128)
        except (ValueError, IndexError) as error:
            raise WeightsError(f"{path.name} does not hold the layers of dlib's face recogniser: {error}") from error

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe aligned faces.

        Parameters
        ----------
        chips
            (n, 150, 150, 3) uint8 RGB, as ``dlib.get_face_chip`` cuts them.

        Returns
        -------
        numpy.ndarray
            (n, 128) float32; their lengths are near 1.4. Two pictures of one person are nearer than 0.6 (King 2017).
        """
        maps: Maps = (chips.transpose(3, 0, 1, 2).astype(np.float32) - _MEAN_RGB) / np.float32(256)
        maps = np.maximum(_unfold(self._stem(maps), 3, 2).max(axis=0), 0)
        for first, second in self._blocks:
            shortcut = maps if first.stride == 1 else _unfold(maps, 2, 2).mean(axis=0)
            maps = np.maximum(_add(second(np.maximum(first(maps), 0)), shortcut), 0)
        descriptions: NDArray[np.float32] = maps.mean(axis=(2, 3)).T @ self._matrix
        return descriptions
