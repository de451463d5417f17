import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from webemotion.environment import origin, secret_key


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret_key"
    key = secret_key(path)
    assert len(key) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_key(path) == key == path.read_text()


def test_every_site_has_its_own_key(tmp_path: Path) -> None:
    assert secret_key(tmp_path / "one") != secret_key(tmp_path / "two")


def test_a_key_that_is_too_short_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("secret")
    with pytest.raises(ImproperlyConfigured, match="Delete the file"):
        secret_key(path)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://faces.example.org", ("https://faces.example.org", "faces.example.org", True)),
        ("http://10.0.0.5:8000/x", ("http://10.0.0.5:8000", "10.0.0.5", False)),
        ("https://[::1]:8443", ("https://[::1]:8443", "::1", True)),
    ],
)
def test_the_public_address_is_split(url: str, parts: tuple[str, str, bool]) -> None:
    assert origin(url) == parts


@pytest.mark.parametrize("url", ["faces.example.org", "ftp://example.org", "https://", "//x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="must look like"):
        origin(url)
