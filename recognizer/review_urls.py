"""The addresses of the review queue, inside of the admin."""

from django.urls import path

from recognizer.views import review

urlpatterns = [
    path("", review.queue, name="review-queue"),
    path("verdict/", review.verdict, name="review-verdict"),
    path("undo/", review.undo, name="review-undo"),
    path("back/", review.back, name="review-back"),
]
