"""Files that a page gets: picked, dropped, pasted; and the scripts that tests run in a page."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload, JSHandle, Page

SCRIPTS = Path(__file__).parent / "scripts"


def script(name: str) -> str:
    """The function in a file of scripts/, for `page.evaluate`."""
    return (SCRIPTS / name).read_text(encoding="utf-8")


def picture(seed: int, width: int = 64, height: int = 48) -> bytes:
    """A JPEG of plain colours, another for every seed; nobody is on it."""
    cells = np.random.default_rng(seed).integers(40, 220, (3, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST).save(buffer, "JPEG")
    return buffer.getvalue()


def payload(name: str, seed: int) -> FilePayload:
    """A picture for a file field."""
    return FilePayload(name=name, mimeType="image/jpeg", buffer=picture(seed))


_TRANSFER = """files => {
  const transfer = new DataTransfer();
  for (const {name, type, data} of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, {type}));
  }
  return transfer;
}"""


def transfer(page: Page, *files: tuple[str, bytes]) -> JSHandle:
    """A DataTransfer with these files, as a drag or a clipboard carries them."""
    described: list[dict[str, Any]] = [
        {"name": name, "type": "image/jpeg", "data": base64.b64encode(data).decode()}
        for name, data in files
    ]
    return page.evaluate_handle(_TRANSFER, described)


def drop(page: Page, *files: tuple[str, bytes], on: str = "main") -> None:
    carried = transfer(page, *files)
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(on, event, {"dataTransfer": carried})


def paste(page: Page, *files: tuple[str, bytes]) -> None:
    page.evaluate(
        "clipboardData => document.body.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))",
        transfer(page, *files),
    )
