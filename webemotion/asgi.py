"""What a ASGI server such as uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webemotion.settings")

application = get_asgi_application()
