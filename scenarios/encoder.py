"""Turns images into an MP4, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from headway.types import Array


@dataclass
class VideoConfig:
    """How the film looks.

    Attributes:
        width, height: [px], even.
        scale: [px/m].
        fps: frames a second; a tick is one frame.
        quality: x264's constant rate factor, less is better.
    """

    width: int = 1280
    height: int = 720
    scale: float = 10.5
    fps: int = 20
    quality: int = 23

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < 320:
            raise ValueError(
                "VideoConfig.width and height: expected even numbers of 320 and more, got "
                f"{self.width} x {self.height}"
            )


class VideoEncoder:
    """Encodes in a thread of its own, so that drawing and encoding share two cores."""

    def __init__(self, path: Path, config: VideoConfig) -> None:
        self._container = av.open(str(path), "w")
        stream = self._container.add_stream("libx264", rate=config.fps)
        stream.width, stream.height = config.width, config.height  # pyright: ignore
        stream.pix_fmt = "yuv420p"  # pyright: ignore
        stream.time_base = Fraction(1, config.fps)
        stream.options = {"preset": "superfast", "crf": str(config.quality)}  # pyright: ignore
        self._stream = stream
        shape = (config.height, config.width)
        self._free: queue.Queue[Array] = queue.Queue()
        for _ in range(4):
            self._free.put(np.zeros(shape, dtype=np.uint32))
        self._full: queue.Queue[Array | None] = queue.Queue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="video encoder", daemon=True)
        self._thread.start()

    def buffer(self) -> Array:
        """Return an image that nobody uses."""
        return self._free.get()

    def put(self, image: Array) -> None:
        """Encode `image` next.

        Raises:
            Exception: what the encoder failed with.
        """
        if self._error is not None:
            raise self._error
        self._full.put(image)

    def __enter__(self) -> VideoEncoder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._full.put(None)
        self._thread.join()
        if self._error is not None and exc_info[0] is None:
            raise self._error

    def _run(self) -> None:
        number = 0
        while (image := self._full.get()) is not None:
            if self._error is None:  # after one nothing is encoded, but nobody waits for ever
                try:
                    self._encode(image, number)
                except Exception as error:
                    self._error = error
            number += 1
            self._free.put(image)
        try:
            self._encode(None, number)
            self._container.close()
        except Exception as error:
            self._error = self._error or error

    def _encode(self, image: Array | None, number: int) -> None:
        """Encode one image; None flushes."""
        frame = None
        if image is not None:
            pixels = image.view(np.uint8).reshape(*image.shape, 4)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
            frame.pts = number
        for packet in self._stream.encode(frame):  # pyright: ignore
            self._container.mux(packet)
