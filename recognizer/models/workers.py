"""Which workers are alive."""

from django.db import models


class Heartbeat(models.Model):
    """When each worker was last there: what /readyz goes by."""

    name = models.CharField(max_length=200, unique=True)
    seen = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.seen:%Y-%m-%d %H:%M:%S}"
