"""The pages' addresses."""

from django.contrib.auth import views as auth
from django.urls import path

from recognizer.text import SITE_NAME
from recognizer.views import accounts, downloads, faces, health, media, pages

urlpatterns = [
    path("", pages.upload, name="upload"),
    path("about/", pages.about, name="about"),
    path("history/", pages.history, name="history"),
    path("photos/cards/", pages.photo_cards, name="photo-cards"),
    path("photos/delete/", pages.photos_delete, name="photos-delete"),
    path("photos/restore/", pages.photos_restore, name="photos-restore"),
    path("photos/example/", pages.example, name="example"),
    path("photos/<uuid:photo_id>/", pages.photo, name="photo"),
    path("photos/<uuid:photo_id>/card/", pages.photo_card, name="photo-card"),
    path("photos/<uuid:photo_id>/result/", pages.photo_result, name="photo-result"),
    path("photos/<uuid:photo_id>/retry/", pages.photo_retry, name="photo-retry"),
    path("photos/<uuid:photo_id>/image/<slug:kind>/", media.photo_image, name="photo-image"),
    path("faces/<int:face_id>/crop/", media.face_crop, name="face-crop"),
    path("faces/<int:face_id>/verdict/", faces.face_verdict, name="face-verdict"),
    path("download/zip/", downloads.as_zip, name="download-zip"),
    path("download/csv/", downloads.as_csv, name="download-csv"),
    path("download/json/", downloads.as_json, name="download-json"),
    path("account/", accounts.account, name="account"),
    path("account/lend/", accounts.lend, name="lend"),
    path("account/erase/", accounts.erase, name="erase"),
    path("account/tokens/", accounts.token_create, name="token-create"),
    path("account/tokens/<int:token_id>/revoke/", accounts.token_revoke, name="token-revoke"),
    path("sign-up/", accounts.sign_up, name="sign-up"),
    path(
        "sign-in/",
        auth.LoginView.as_view(
            template_name="accounts/sign_in.html",
            redirect_authenticated_user=True,
            extra_context={"site_name": SITE_NAME},  # Django would show the host there.
        ),
        name="sign-in",
    ),
    path("sign-out/", auth.LogoutView.as_view(), name="sign-out"),
    path("password-reset/", accounts.PasswordReset.as_view(), name="password_reset"),
    path(
        "password-reset/sent/",
        auth.PasswordResetDoneView.as_view(template_name="accounts/password_reset_done.html"),
        name="password_reset_done",
    ),
    path(
        "password-reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(template_name="accounts/password_reset_confirm.html"),
        name="password_reset_confirm",
    ),
    path(
        "password-reset/done/",
        auth.PasswordResetCompleteView.as_view(
            template_name="accounts/password_reset_complete.html"
        ),
        name="password_reset_complete",
    ),
    path(
        "password-change/",
        auth.PasswordChangeView.as_view(template_name="accounts/password_change.html"),
        name="password_change",
    ),
    path(
        "password-change/done/",
        auth.PasswordChangeDoneView.as_view(template_name="accounts/password_change_done.html"),
        name="password_change_done",
    ),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
