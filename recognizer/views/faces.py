"""One face: its crop, and its owner's verdict."""

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from recognizer.models import Face, Review
from recognizer.services import faces, owners, reviews


@require_POST
def face_verdict(request: HttpRequest, face_id: int) -> HttpResponse:
    """Record what the owner says of a face."""
    face = get_object_or_404(
        Face.objects.with_current().select_related("photo"),
        pk=face_id,
        current__isnull=False,
        photo__in=owners.photos_of(request),
    )
    assert face.current is not None
    user = request.user if request.user.is_authenticated else None
    try:
        reviews.record(
            face.current,
            Review.Role.OWNER,
            request.POST.get("verdict", ""),
            request.POST.get("emotion", ""),
            user,
        )
    except reviews.BadVerdict as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
    if "HX-Request" not in request.headers:
        return redirect("photo", face.photo_id)
    context = {"face": faces.view_of(face), "photo": face.photo}
    return render(request, "partials/face.html", context)
