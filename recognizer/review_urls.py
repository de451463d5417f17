"""The addresses of reviewing and learning, inside of the admin."""

from django.urls import path

from recognizer.views import learning, review, review_accuracy

urlpatterns = [
    path("", review.queue, name="review-queue"),
    path("verdict/", review.verdict, name="review-verdict"),
    path("grid/", review.grid, name="review-grid"),
    path("undo/", review.undo, name="review-undo"),
    path("accuracy/", review_accuracy.page, name="review-accuracy"),
    path("back/", review.back, name="review-back"),
    path("learning/", learning.page, name="learning"),
    path("learning/export/", learning.export, name="learning-export"),
    path("learning/ask/", learning.ask, name="learning-ask"),
    path("learning/<int:run_id>/promote/", learning.promote, name="learning-promote"),
    path("learning/rollback/", learning.rollback, name="learning-rollback"),
    path("learning/again/", learning.again, name="learning-again"),
    path("compare/", learning.compare, name="compare-models"),
]
