"""Stop an endless upload before it fills the disk."""

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

# Read on that far for the sake of a proper answer; beyond it, hang up.
PATIENCE = 4
ENDLESS = "webemotion.endless_upload"


class SizeLimitUploadHandler(FileUploadHandler):
    """Swallows what comes after the size limit; the file's size then shows that it was passed."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        over = self.received > settings.MAX_UPLOAD_BYTES
        self.received += len(raw_data)
        if self.received > PATIENCE * settings.MAX_UPLOAD_BYTES:
            # Django forgets a file that was broken off; its name is kept for the answer.
            assert self.request is not None
            self.request.META[ENDLESS] = self.file_name
            raise StopUpload(connection_reset=True)
        return None if over else raw_data

    def file_complete(self, file_size: int) -> None:
        return None
