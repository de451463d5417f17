"""Guests who have a photo already."""

import pytest
from django.test import Client

from recognizer.services.owners import Owner
from tests.api.sending import send
from tests.factories import noise


@pytest.fixture
def guest(guest_client: Client) -> Client:
    """A guest who has uploaded one photo."""
    assert send(guest_client, noise(99), "of a guest.jpg").status_code == 201
    return guest_client


def owner_of(client: Client) -> Owner:
    """The guest that a client's session names."""
    return Owner(guest=client.session["guest"])
