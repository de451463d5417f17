"""All settings. Each environment variable is read here, once; see docs/configuration.md."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from celery.schedules import crontab
from django.utils.translation import gettext_lazy as _
from environs import Env
from kombu import Queue

from webemotion.environment import is_news, origin, secret_key

# Lets `admin.ModelAdmin[Photo]` and the like be written at run time, as type checkers want it.
django_stubs_ext.monkeypatch()

env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.path("WEBEMOTION_DATA", BASE_DIR / "var").absolute()
DATA_DIR.mkdir(parents=True, exist_ok=True)

# Where people reach the site. Links in mails, host checks and secure cookies follow from it.
PUBLIC_URL = env.str("PUBLIC_URL", "")
PUBLIC_ORIGIN, PUBLIC_HOST, PUBLIC_IS_HTTPS = origin(PUBLIC_URL or "http://127.0.0.1:8000")

SECRET_KEY = env.str("SECRET_KEY", "") or secret_key(DATA_DIR / "secret_key")
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", [PUBLIC_HOST, "127.0.0.1", "localhost", "[::1]"])

# --- What the site allows --------------------------------------------------------------------
# Guests may use a published site; whether strangers may also open accounts on it is a decision.
SIGNUP_ENABLED = env.bool("SIGNUP_ENABLED", not PUBLIC_URL)
GUEST_RETENTION_DAYS = env.int("GUEST_RETENTION_DAYS", 14)
UPLOADS_PER_HOUR = env.int("UPLOADS_PER_HOUR", 1000)
UPLOADS_PER_HOUR_PER_ADDRESS = env.int("UPLOADS_PER_HOUR_PER_ADDRESS", 3000)
DISK_LIMIT_MB = env.int("DISK_LIMIT_MB", 20_000)
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
MAX_UPLOAD_BYTES = 25 * 1024 * 1024
UNDO_SECONDS = 10

# --- Recognition -----------------------------------------------------------------------------
EMOTION_MODEL = env.str("EMOTION_MODEL", "")
MODELS_ROOT = env.path("MODELS_ROOT", DATA_DIR / "models").absolute()
DETECTOR = env.str("DETECTOR", "recognizer.vision.detection.MTCNN")
MIN_FACE = env.int("MIN_FACE", 0)
RECOGNITION_THREADS = env.int("RECOGNITION_THREADS", 1)
# How many reviewers are to look at each face.
REVIEW_OPINIONS = env.int("REVIEW_OPINIONS", 1)
# A data set in any layout that `manage.py train` reads, on which models that learned from reviews
# are measured besides, so that it shows what they forgot; its Training rows are learned again.
REFERENCE_SET = env.str("REFERENCE_SET", "")
REFERENCE_FERPLUS = env.str("REFERENCE_FERPLUS", "")
# A photo claimed or queued for longer than this many seconds is taken to be lost and queued again.
STALE_AFTER = env.int("STALE_AFTER", 120)
SWEEP_EVERY = env.int("SWEEP_EVERY", 15)
MAX_ATTEMPTS = 3

# --- Django ----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "recognizer",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "ninja",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "recognizer.middleware.content_security_policy",
    "recognizer.middleware.json_errors_for_api",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "webemotion.urls"
WSGI_APPLICATION = "webemotion.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "recognizer.context.site",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets pages be read while a worker writes. IMMEDIATE takes the write lock at the start
    # of a transaction, where waiting is possible, not in its middle, where SQLite can only fail.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        # A machine that is away must not hold up a page, or a command that could do without.
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 10)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "recognizer.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "history"
LOGOUT_REDIRECT_URL = "upload"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_TZ = True

# --- Files -----------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = env.path("MEDIA_ROOT", DATA_DIR / "media")
S3_BUCKET = env.str("S3_BUCKET", "")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "webemotion.staticfiles.HashedStaticFilesStorage"},
}
if S3_BUCKET:
    # Credentials and region come from the AWS_* variables or the machine's role, as boto3 reads.
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": env.str("S3_ENDPOINT_URL", "") or None,
            "default_acl": None,
            "file_overwrite": False,
        },
    }
# Names are random and files private: nobody but this process has to read them.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
FILE_UPLOAD_HANDLERS = [
    "recognizer.uploadhandler.SizeLimitUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
# A form without scripts sends its files in one request, and each may have MAX_UPLOAD_BYTES.
DATA_UPLOAD_MAX_NUMBER_FILES = 100
# Every selected photo of the history is a field.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

# --- Security --------------------------------------------------------------------------------
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PUBLIC_IS_HTTPS
CSRF_COOKIE_SECURE = PUBLIC_IS_HTTPS
CSRF_TRUSTED_ORIGINS = [PUBLIC_ORIGIN]
CSRF_FAILURE_VIEW = "recognizer.views.errors.csrf_failure"
SESSION_COOKIE_AGE = int(timedelta(days=GUEST_RETENTION_DAYS).total_seconds())
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Whether all of a domain is https, for how long and for good, only its operator can say; and a
# redirect to https is the proxy's work. So `check --deploy` need not warn of it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
if PUBLIC_IS_HTTPS:
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 3600)
    if TRUSTED_PROXIES:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Mail ------------------------------------------------------------------------------------
vars().update(
    env.dj_email_url("EMAIL_URL", "console:")
    if env.str("EMAIL_URL", "")
    else {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
)
DEFAULT_FROM_EMAIL = env.str("FROM_EMAIL", f"WebEmotion <webemotion@{PUBLIC_HOST}>")

# --- Queue -----------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", "")
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Loading the model on a busy machine takes longer than the 4 seconds that Celery allows.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60
# One thread in as many processes as there are cores gives the most photos per second (see
# docs/BENCHMARKS.md); but each takes some 350 MB.
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", min(4, os.cpu_count() or 1))
# After this a claim counts as stale and may be taken by another worker, so the first one must
# not still be at it.
CELERY_TASK_TIME_LIMIT = STALE_AFTER
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The row is the truth and the sweeper sends again, so a dead broker must not hold up an upload.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
# Sweeps have a queue of their own, so that they need not wait behind a thousand photos.
CELERY_TASK_QUEUES = [
    Queue("celery", routing_key="celery"),
    Queue("maintenance", routing_key="maintenance"),
    # So have photos that are recognised again: a new upload need not wait behind them either.
    Queue("again", routing_key="again"),
]
CELERY_TASK_ROUTES = {
    "recognizer.tasks.sweep": {"queue": "maintenance"},
    "recognizer.tasks.clean_up": {"queue": "maintenance"},
    # Not among the queues above: only a worker that is told to takes from it.
    "recognizer.tasks.learn": {"queue": "training"},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "recognizer.tasks.sweep",
        "schedule": SWEEP_EVERY,
        # An outage of the worker must not leave a heap of sweeps behind.
        "options": {"expires": SWEEP_EVERY},
    },
    "clean-up": {"task": "recognizer.tasks.clean_up", "schedule": crontab(minute="17")},
}
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "visibility_timeout": 3600,
        "socket_connect_timeout": 2,
        "socket_timeout": 30,
    }
else:
    CELERY_BROKER_TRANSPORT = "webemotion.file_queue:Transport"
    CELERY_BROKER_URL = "localhost"  # Means nothing, but kombu wants a host.
    _queue = DATA_DIR / "queue"
    for _folder in ("messages", "control"):
        (_queue / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue / "messages"),
        "data_folder_out": str(_queue / "messages"),
        "control_folder": str(_queue / "control"),
        "polling_interval": 0.05,
    }

# --- Logging ---------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        "news": {"()": "django.utils.log.CallbackFilter", "callback": is_news},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["news"]}
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
        # Scanners ask for hosts that are none of ours; they get their 400 and no traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # What TensorFlow and its exporter tell while training helps nobody.
        "absl": {"level": "WARNING"},
        "tf2onnx": {"level": "WARNING"},
    },
}
