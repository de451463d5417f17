"""The addresses of the review queue, inside of the admin."""

from django.urls import path

from recognizer.views import review, review_accuracy

urlpatterns = [
    path("", review.queue, name="review-queue"),
    path("verdict/", review.verdict, name="review-verdict"),
    path("grid/", review.grid, name="review-grid"),
    path("undo/", review.undo, name="review-undo"),
    path("accuracy/", review_accuracy.page, name="review-accuracy"),
    path("back/", review.back, name="review-back"),
]
