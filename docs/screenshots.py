"""Takes the pictures of the README and the pages from the program as it is: `make screenshots`, with Chromium.

The sample clip goes through `slowmo up`; what Dagster's UI and the report then show is what people see.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
from playwright.sync_api import FloatRect, Page, sync_playwright

from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.places import REPOSITORY
from slowmo_pipeline_tests.support.processes import Processes, drop, free_port

PICTURES = REPOSITORY / "docs" / "pictures"
CLIP = REPOSITORY / "examples" / "big_buck_bunny.mp4"
RAMPED = "ramped.mp4"
"""The same clip under another name, slowed in its middle."""
FRAME = 40
"""Of the clip: something moves there."""
_QUALITY = 80
_MARGIN = 24
_PATIENCE_MILLISECONDS = 120_000


def main() -> None:
    """Make all pictures anew."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        port, gallery_port = free_port(), free_port()
        processes.up(port, gallery_port=gallery_port)
        settings = {"speed": "0-1:1, 1-2:1/8, 2-:1", "ease": 1}
        (processes.uploads / f"{RAMPED}.slowmo.json").write_text(json.dumps(settings))
        for name in (CLIP.name, RAMPED):
            drop(CLIP, processes.uploads / name)
        eventually(lambda: len(processes.finals()) == 2)
        eventually(lambda: all(run.is_finished for run in processes.runs()))
        slowed, ramped = (processes.storage / name for name in sorted(processes.finals()))
        with a_page() as page:
            between(page, slowed)
            report(page, ramped.with_suffix(".html"))
            gallery(page, f"http://127.0.0.1:{gallery_port}")
            lineage(page, f"http://127.0.0.1:{port}")
            partition(page, f"http://127.0.0.1:{port}", slowed.stem)


@contextmanager
def a_page() -> Iterator[Page]:
    """A page of a browser that shows everything in the light."""
    chromium = shutil.which("chromium")
    assert chromium, "The pictures need Chromium: `apt-get install chromium`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720}, device_scale_factor=1.5, color_scheme="light")
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        yield page
        browser.close()


def between(page: Page, final: Path) -> None:
    """Two neighbouring frames of the clip, where they lie in the result, and the three new ones between them."""
    with av.open(str(final)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][4 * FRAME : 4 * FRAME + 5]
    left, top, size = _where_most_moves(frames[0], frames[-1])
    captions = [f"frame {FRAME}", "new", "new", "new", f"frame {FRAME + 1}"]
    images = [_embedded(frame[top : top + size, left : left + size]) for frame in frames]
    figures = "".join(
        f'<figure><img src="{image}"><figcaption>{caption}</figcaption></figure>'
        for image, caption in zip(images, captions, strict=True)
    )
    style = (
        "body{margin:0;background:#fff}div{display:inline-flex;gap:6px}figure{margin:0;font:14px sans-serif;"
        "text-align:center;color:#555}img{width:200px;display:block;margin-bottom:4px}"
    )
    page.set_content(f"<style>{style}</style><div>{figures}</div>")
    save(page.locator("div").screenshot(), "between")


def _where_most_moves(one: Frame, other: Frame) -> tuple[int, int, int]:
    size = one.shape[0] // 2
    moved = cv2.boxFilter(np.abs(one.astype(np.float32) - other).mean(axis=2), -1, (size, size))
    half = size // 2
    inside = moved[half : one.shape[0] - half, half : one.shape[1] - half]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(left), int(top), size


def _embedded(picture: Frame) -> str:
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode()}"


def report(page: Page, path: Path) -> None:
    """The report's first screen."""
    page.set_viewport_size({"width": 1024, "height": 860})
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelector('video').currentTime > 5")
    save(page.screenshot(), "report")


def gallery(page: Page, address: str) -> None:
    """All videos."""
    page.set_viewport_size({"width": 1100, "height": 760})
    page.goto(address)
    page.wait_for_load_state("networkidle")
    save(page.screenshot(), "gallery")


def lineage(page: Page, ui: str) -> None:
    """The assets, each with what it last made, cut out of their page."""
    page.set_viewport_size({"width": 1640, "height": 620})
    page.goto(f"{ui}/asset-groups/")
    page.get_by_text("Hide navigation").click()
    page.reload()  # with more room, the drawing says more
    page.get_by_text("100% filled").nth(4).wait_for()
    page.get_by_text("3 / 3 Passed").wait_for()
    boxes = [box for each in page.locator("svg foreignObject").all() if (box := each.bounding_box())]
    left, top = (min(box[side] for box in boxes) - _MARGIN for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
    clip: FloatRect = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    save(page.screenshot(clip=clip), "lineage")


def partition(page: Page, ui: str, video_id: str) -> None:
    """What the page of the final video says of one."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{ui}/assets/final_video?view=partitions&partition={video_id}")
    page.get_by_text("preview").first.wait_for()
    page.wait_for_load_state("networkidle")
    save(page.screenshot(), "partition")


def save(png: bytes, name: str) -> None:
    """Write a screenshot as WebP."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    cv2.imwrite(str(PICTURES / f"{name}.webp"), picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])


if __name__ == "__main__":
    main()
