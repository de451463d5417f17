import csv
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.serializers.json import DjangoJSONEncoder

from recognizer.models import Photo, Prediction
from recognizer.services import downloads
from recognizer.services.owners import Owner
from recognizer.vision.emotions import EMOTIONS
from tests.factories import LANDMARKS, lose, make_photo, picture


def photos_of(owner: Owner) -> Any:
    return owner.photos().order_by("name").with_results()


# --- ZIP ---------------------------------------------------------------------------------------


def unzip(photos: Any) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(downloads.as_zip(photos))))
    assert archive.testzip() is None
    names = archive.namelist()
    assert len(set(names)) == len(names)
    return {name: archive.read(name) for name in names}


def test_a_zip_holds_each_annotated_image_under_a_readable_name(alice_owner: Owner) -> None:
    make_photo(alice_owner, "beach.png")
    make_photo(alice_owner, "пляж 😀.jpeg")
    assert unzip(photos_of(alice_owner)) == {
        "beach-annotated.jpg": picture(3),
        "пляж 😀-annotated.jpg": picture(3),
    }


def test_names_in_a_zip_are_unique_even_where_case_is_ignored(alice_owner: Owner) -> None:
    given = ["IMG.jpg", "IMG.png", "img.jpg", "IMG-annotated-2.jpg", "Straße.jpg", "STRASSE.jpg"]
    for name in given:
        make_photo(alice_owner, name)
    names = [name.casefold() for name in unzip(photos_of(alice_owner))]
    assert len(names) == len(set(names)) == len(given)
    assert all(name.endswith(".jpg") for name in names)


@pytest.mark.parametrize(
    ("name", "saved_as"),
    [
        ("a.jpg", "a-annotated.jpg"),
        ("archive.tar.gz", "archive.tar-annotated.jpg"),
        ("no ending", "no ending-annotated.jpg"),
        ("../../evil.jpg", "evil-annotated.jpg"),
        ('what? "a:b" <c|d>*.jpg', "what_ _a_b_ _c_d__-annotated.jpg"),
        ("back\\slash.jpg", "back_slash-annotated.jpg"),
        ("", "photo-annotated.jpg"),
        ("...", "photo-annotated.jpg"),
    ],
)
def test_saved_names_are_allowed_on_every_system(name: str, saved_as: str) -> None:
    assert downloads.jpeg_name(name) == saved_as


@pytest.mark.parametrize("letter", ["x", "😀", "ж"])
def test_saved_names_fit_into_a_file_system(letter: str) -> None:
    name = downloads.jpeg_name(letter * 200 + ".jpg")
    assert len(name.encode()) < 240
    assert name.startswith(letter * 40)


def test_what_has_no_annotated_image_is_left_out(alice_owner: Owner) -> None:
    make_photo(alice_owner, "done.jpg")
    waiting = make_photo(alice_owner, "waiting.jpg", status=Photo.Status.QUEUED)
    waiting.annotated.delete()
    vanished = make_photo(alice_owner, "vanished.jpg")
    lose(vanished.annotated)
    assert list(unzip(photos_of(alice_owner))) == ["done-annotated.jpg"]


def test_a_zip_of_nothing_is_an_empty_zip(alice_owner: Owner) -> None:
    assert unzip(photos_of(alice_owner)) == {}


def test_a_zip_is_made_while_it_is_sent(alice_owner: Owner) -> None:
    for number in range(4):
        photo = make_photo(alice_owner, f"{number}.jpg")
        photo.annotated.save("a.jpg", ContentFile(bytes(300_000)))
    taken: list[str] = []

    def one_by_one() -> Any:
        for photo in photos_of(alice_owner):
            taken.append(photo.name)
            yield photo

    parts = downloads.as_zip(one_by_one())
    received = 0
    while received < 300_000:
        received += len(next(parts))
    assert taken == ["0.jpg"]
    largest = max(len(part) for part in parts)
    assert largest < 200_000
    assert len(taken) == 4


# --- CSV ---------------------------------------------------------------------------------------


def rows(photos: Any) -> list[dict[str, str]]:
    text = "".join(downloads.as_csv(photos))
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_csv_has_a_line_per_face(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, "two.jpg", ["happy", "?sad"])
    make_photo(alice_owner, "waiting.jpg", status=Photo.Status.QUEUED)
    first, second, third = rows(photos_of(alice_owner))
    assert list(first) == list(downloads.COLUMNS)
    assert first["photo_id"] == second["photo_id"] == str(photo.pk)
    assert (first["file_name"], first["status"], first["width"]) == ("two.jpg", "done", "64")
    box = [first[column] for column in ("x", "y", "box_width", "box_height")]
    assert box == ["10", "10", "20", "24"]
    assert (first["face"], first["emotion"], first["confidence"]) == ("1", "happy", "0.9000")
    assert (first["uncertain"], first["reasons"]) == ("no", "")
    assert (second["uncertain"], second["reasons"]) == ("yes", "close_call")
    assert sum(float(first[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=0.001)
    assert first["model"].startswith("model-of-the-tests ")
    assert (third["file_name"], third["status"]) == ("waiting.jpg", "queued")
    assert third["face"] == third["emotion"] == third["model"] == ""


def test_csv_gives_valence_and_arousal_as_numbers(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, "two.jpg", ["sad", "happy"])
    Prediction.objects.filter(face=photo.faces.get(number=1)).update(valence=-0.51234, arousal=0.1)
    first, second = rows(photos_of(alice_owner))
    assert (first["valence"], first["arousal"]) == ("-0.512", "0.1")
    assert second["valence"] == second["arousal"] == ""


@pytest.mark.parametrize(
    "name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "\t=1.jpg", '=HYPERLINK("http://x")']
)
def test_csv_cells_that_look_like_formulas_are_escaped(alice_owner: Owner, name: str) -> None:
    make_photo(alice_owner, name, ["happy"])
    (row,) = rows(photos_of(alice_owner))
    assert row["file_name"] == f"'{name}"


def test_csv_leaves_other_names_and_all_numbers_alone(alice_owner: Owner) -> None:
    make_photo(alice_owner, 'a "b", c.jpg', ["happy"])
    (row,) = rows(photos_of(alice_owner))
    assert row["file_name"] == 'a "b", c.jpg'
    assert not any(value.startswith("'") for value in row.values())


# --- JSON --------------------------------------------------------------------------------------


def test_json_is_the_apis_photos(alice_owner: Owner) -> None:
    make_photo(alice_owner, "a 😀.jpg", ["happy", "?sad"])
    make_photo(alice_owner, "b.jpg")
    text = "".join(downloads.as_json(photos_of(alice_owner)))
    assert "😀" in text
    expected = [downloads.photo_as_dict(photo) for photo in photos_of(alice_owner)]
    assert json.loads(text) == json.loads(json.dumps(expected, cls=DjangoJSONEncoder))
    assert json.loads(text)[0]["created"].endswith("Z")


def test_json_of_nothing_is_an_empty_list(alice_owner: Owner) -> None:
    assert json.loads("".join(downloads.as_json([]))) == []


def test_a_face_has_the_form_that_all_doors_share(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, faces=["?sad"])
    (face,) = downloads.photo_as_dict(photo)["faces"]
    assert list(face) == [
        "box",
        "landmarks",
        "detection_score",
        "emotion",
        "confidence",
        "uncertain",
        "reasons",
        "probabilities",
        "valence",
        "arousal",
    ]
    assert face["box"] == [10, 10, 20, 24]
    assert face["landmarks"] == LANDMARKS
    assert (face["emotion"], face["uncertain"], face["reasons"]) == ("sad", True, ["close_call"])
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert face["valence"] is face["arousal"] is None
    Prediction.objects.update(valence=-0.5, arousal=0.25)
    (face,) = downloads.photo_as_dict(Photo.objects.get(pk=photo.pk))["faces"]
    assert (face["valence"], face["arousal"]) == (-0.5, 0.25)


@pytest.mark.parametrize("writer", [downloads.as_csv, downloads.as_json, downloads.as_zip])
def test_files_take_a_few_queries_however_many_photos(
    alice_owner: Owner, writer: Callable[..., Any], django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        make_photo(alice_owner, f"{number}.jpg", ["happy", "sad"])
    with django_assert_max_num_queries(2):
        for _part in writer(alice_owner.photos().with_results().iterator(chunk_size=100)):
            pass
