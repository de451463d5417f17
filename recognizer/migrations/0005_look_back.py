from collections import Counter

from django.db import migrations

from recognizer.models import anywhere

AT_ONCE = 1000


def look_back(apps, schema_editor):
    """What the queue goes by, of the faces and reviews that are there already."""
    Face = apps.get_model("recognizer", "Face")
    Review = apps.get_model("recognizer", "Review")
    Opinion = apps.get_model("recognizer", "Opinion")
    newest = {}
    made = Review.objects.filter(role="reviewer", reviewer__isnull=False).order_by("created", "id")
    for review in made.select_related("prediction").iterator(AT_ONCE):
        newest[review.prediction.face_id, review.reviewer_id] = review.pk
    Opinion.objects.bulk_create(
        [
            Opinion(face_id=face, reviewer_id=reviewer, review_id=review)
            for (face, reviewer), review in newest.items()
        ],
        AT_ONCE,
    )
    counts = Counter(face for face, _ in newest)
    changed = []
    for face in Face.objects.select_related("current").iterator(AT_ONCE):
        # Adding the column gave all of them the same number.
        face.shuffle = anywhere()
        face.doubt = 1 - face.current.confidence if face.current else 0
        face.opinions = counts[face.pk]
        changed.append(face)
    Face.objects.bulk_update(changed, ["shuffle", "doubt", "opinions"], AT_ONCE)


class Migration(migrations.Migration):
    # Apart from the columns: PostgreSQL alters no table in which rows were changed just before.
    dependencies = [("recognizer", "0004_review_queue")]

    operations = [migrations.RunPython(look_back, migrations.RunPython.noop, elidable=True)]
