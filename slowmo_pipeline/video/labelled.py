"""Pictures with a word in their corner."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.screen import Screen


class Labelled:
    """A screen whose pictures all carry the same words."""

    def __init__(self, screen: Screen, words: str) -> None:
        self.width, self.height = screen.width, screen.height
        self._screen = screen
        # Letters of a twentieth of the height, white on black that shines through.
        size = max(screen.height // 20, 8)
        font = ImageFont.load_default(size)
        left, top, right, bottom = font.getbbox(words)
        margin = size // 2
        box = Image.new("L", (min(round(right - left) + 2 * margin, screen.width), round(bottom - top) + 2 * margin))
        ImageDraw.Draw(box).text((margin - left, margin - top), words, font=font, fill=255)
        self._letters = np.asarray(box, dtype=np.uint16)[: screen.height, :, np.newaxis]

    def picture(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """Return what is shown: uint8, (height, width, 3)."""
        picture: npt.NDArray[np.uint8] = self._screen.picture(frame).copy()
        height, width = self._letters.shape[:2]
        behind = picture[:height, :width].astype(np.uint16) * 2 // 5
        picture[:height, :width] = np.maximum(behind, self._letters)
        return picture
