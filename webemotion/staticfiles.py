"""How static files are stored for serving."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped
    """Hashes the names inside ES modules too, so that an upgrade never mixes old and new ones."""

    support_js_module_import_aggregation = True
