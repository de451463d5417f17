"""Which lent photos teach models and which only measure them."""

from uuid import UUID

import pytest
from django.db.models import Count, QuerySet

from recognizer.models import Photo, User
from recognizer.services import held_out
from tests.factories import add_faces, make_photos, owned_by

pytestmark = pytest.mark.django_db


def people(count: int) -> list[User]:
    known = User.objects.count()
    return [User.objects.create_user(f"user-{known + number}") for number in range(count)]


def lent(user: User, count: int, faces: int = 1) -> list[Photo]:
    """Photos of the user's with so many faces each."""
    photos = make_photos(owned_by(user), count)
    add_faces(photos, faces)
    return photos


def decide(photos: QuerySet[Photo] | None = None) -> None:
    photos = Photo.objects.all() if photos is None else photos
    held_out.decide(photos.prefetch_related("faces"))


def sides() -> dict[object, bool | None]:
    return dict(Photo.objects.values_list("pk", "held_out"))


def sides_of(user: User) -> set[bool | None]:
    return set(Photo.objects.filter(user=user).values_list("held_out", flat=True))


def faces(side: bool) -> int:
    photos = Photo.objects.filter(held_out=side).annotate(n=Count("faces"))
    return sum(photos.values_list("n", flat=True))


def share() -> float:
    return faces(True) / (faces(True) + faces(False))


def copy(photo: Photo, user: User) -> Photo:
    """The same picture, sent by somebody else."""
    (copied,) = lent(user, 1)
    copied.sha256 = photo.sha256
    copied.save(update_fields=["sha256"])
    return copied


# --- One decision ------------------------------------------------------------------------------


def test_a_photo_gets_its_side_once(alice: User, bob: User) -> None:
    lent(alice, 30)
    decide()
    first = sides()
    assert set(first.values()) == {True, False}
    lent(alice, 20)
    lent(bob, 20)
    decide()
    assert sides() | first == sides()
    assert None not in sides().values()


def test_only_the_photos_that_are_given_get_a_side(alice: User, bob: User) -> None:
    lent(alice, 3)
    lent(bob, 3)
    decide(Photo.objects.filter(user=alice))
    assert sides_of(bob) == {None}
    assert None not in sides_of(alice)


def test_the_order_in_which_they_come_decides_nothing(alice: User) -> None:
    lent(alice, 42)
    photos = Photo.objects.prefetch_related("faces")
    held_out.decide(photos.order_by("created", "pk"))
    first = sides()
    Photo.objects.update(held_out=None)
    held_out.decide(photos.order_by("-created", "-pk"))
    assert sides() == first


def test_nothing_lent_is_nothing_to_decide(alice: User) -> None:
    lent(alice, 2)
    decide(Photo.objects.none())
    assert sides_of(alice) == {None}


# --- The share ---------------------------------------------------------------------------------


@pytest.mark.parametrize("each", [1, 3])
def test_two_faces_in_five_are_held_out(alice: User, each: int) -> None:
    lent(alice, 50, each)
    decide()
    assert share() == pytest.approx(held_out.SHARE, abs=0.021)


def test_faces_are_counted_and_not_photos(alice: User) -> None:
    for number in range(1, 9):
        lent(alice, 5, number)
    decide()
    # The last photo may carry it over by as many faces as it has.
    assert share() == pytest.approx(held_out.SHARE, abs=8 / (faces(True) + faces(False)))


def test_the_share_is_kept_while_more_is_lent(alice: User, bob: User) -> None:
    for round_ in range(6):
        lent((alice, bob)[round_ % 2], 15)
        decide()
        assert share() == pytest.approx(held_out.SHARE, abs=0.05)


# --- Copies ------------------------------------------------------------------------------------


def test_copies_of_a_photo_lie_on_one_side(alice: User, bob: User) -> None:
    originals = lent(alice, 20)
    copies = [copy(photo, bob) for photo in originals]
    lent(bob, 10)
    decide()
    now = sides()
    assert [now[photo.pk] for photo in originals] == [now[photo.pk] for photo in copies]
    assert sides_of(alice) == {True, False}


def test_a_copy_that_comes_later_goes_where_the_photo_is(alice: User, bob: User) -> None:
    originals = lent(alice, 20)
    decide()
    copies = [copy(photo, bob) for photo in originals]
    decide()
    now = sides()
    assert [now[photo.pk] for photo in originals] == [now[photo.pk] for photo in copies]


def test_a_copy_of_what_is_lent_no_longer_goes_where_that_was(alice: User, bob: User) -> None:
    """A model may have learned from it before its owner changed her mind."""
    originals = lent(alice, 20)
    decide()
    copies = [copy(photo, bob) for photo in originals]
    lent(bob, 20)
    decide(Photo.objects.filter(user=bob))
    now = sides()
    assert [now[photo.pk] for photo in originals] == [now[photo.pk] for photo in copies]


def test_copies_lie_on_one_side_among_many_people_too() -> None:
    everybody = people(10)
    for user in everybody:
        lent(user, 4)
    first = Photo.objects.filter(user=everybody[0])
    copied = {photo.pk: [copy(photo, user).pk for user in everybody[1:]] for photo in first}
    decide()
    now = sides()
    for original, copies in copied.items():
        assert {now[key] for key in copies} == {now[original]}


# --- What stays together on one side -----------------------------------------------------------


def groups() -> dict[UUID, str]:
    decide()
    return held_out.together(Photo.objects.order_by("created", "pk"))


def test_photos_of_a_few_people_stay_with_their_copies_only(alice: User, bob: User) -> None:
    originals = lent(alice, 5)
    copied = copy(originals[0], bob)
    found = groups()
    assert found[copied.pk] == found[originals[0].pk]
    assert len(set(found.values())) == 5


def test_of_many_people_each_ones_photos_stay_together_on_each_side() -> None:
    everybody = people(held_out.ENOUGH_PEOPLE - 1)
    for user in everybody:
        lent(user, 12)
    decide()  # One by one, so on both sides.
    late = people(1)[0]
    lent(late, 3)
    found = groups()
    owners = dict(Photo.objects.values_list("pk", "user"))
    whose = {(owners[key], sides()[key]): name for key, name in found.items()}
    assert len(set(found.values())) == len(whose) == 2 * len(everybody) + 1
    assert len({found[photo.pk] for photo in Photo.objects.filter(user=late)}) == 1


def test_a_copy_stays_with_the_photo_among_many_people_too() -> None:
    everybody = people(10)
    for user in everybody:
        lent(user, 2)
    original = Photo.objects.filter(user=everybody[0]).order_by("created", "pk")[0]
    copied = copy(original, everybody[1])
    found = groups()
    assert found[copied.pk] == found[original.pk]


# --- People ------------------------------------------------------------------------------------


def test_photos_of_a_few_people_are_given_out_one_by_one() -> None:
    everybody = people(held_out.ENOUGH_PEOPLE - 1)
    for user in everybody:
        # Of so few as 12, one person in 500 has all on one side.
        lent(user, 40)
    decide()
    assert [sides_of(user) for user in everybody] == [{True, False}] * len(everybody)


def test_of_many_people_nobody_is_on_both_sides() -> None:
    everybody = people(held_out.ENOUGH_PEOPLE)
    for user in everybody:
        lent(user, 6)
    decide()
    found = [sides_of(user) for user in everybody]
    assert all(len(one) == 1 for one in found)
    assert set.union(*found) == {True, False}
    # As near as whole people come.
    assert share() == pytest.approx(held_out.SHARE, abs=1 / len(everybody))


def test_what_a_person_adds_goes_where_the_person_is() -> None:
    everybody = people(10)
    for user in everybody:
        lent(user, 3)
    decide()
    before = [sides_of(user) for user in everybody]
    for user in everybody:
        lent(user, 5)
    decide()
    assert [sides_of(user) for user in everybody] == before


def test_newcomers_to_a_site_that_has_grown_are_not_torn_apart() -> None:
    old = people(held_out.ENOUGH_PEOPLE - 1)
    for user in old:
        lent(user, 10)
    decide()
    before = sides()
    new = people(4)
    for user in new:
        lent(user, 10)
    decide()
    assert sides() | before == sides()
    assert all(len(sides_of(user)) == 1 for user in new)
