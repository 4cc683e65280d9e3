"""The type of a circle follows from what its members share more than the rest does."""

import pytest

from privwiz.circle_types import TELLING_FIELDS, CircleType, circle_type


def values(**given):
    """Return the values of ten friends in each telling field; each letter of a text is one friend's value, "." none."""
    texts = dict.fromkeys(TELLING_FIELDS, "." * 10) | given
    return {field: [() if letter == "." else (letter,) for letter in text] for field, text in texts.items()}


@pytest.mark.parametrize(
    ("given", "density", "expected"),
    [
        ({"last_name": "aa........"}, 0.0, CircleType.FAMILY),  # 2 of 5 share what nobody else has: .4 > .15
        ({"last_name": "aa...aa..."}, 0.0, CircleType.OTHER),  # the rest shares it as much
        ({"last_name": "a........."}, 0.0, CircleType.OTHER),  # one person is no family
        ({"employer": "aa........"}, 0.0, CircleType.WORK),
        ({"last_name": "aa........", "employer": "aaaaa....."}, 0.0, CircleType.FAMILY),  # family goes before work
        ({"school": "aa........"}, 0.0, CircleType.SCHOOL),  # .4 >= .35 and .4 > .25
        ({"school": "aa...a...."}, 0.0, CircleType.OTHER),  # .4 - .2 is not above .25
        ({"school": "aaa.......", "hometown": "aa........"}, 0.0, CircleType.SCHOOL),
        ({"school": "aa........", "location": "aaa......."}, 0.0, CircleType.PLACE),  # the place tells more
        ({"school": "aa........", "hometown": "aa........"}, 0.0, CircleType.SCHOOL),  # a draw goes to the school
        ({"hometown": "aaaaabbbbb"}, 0.0, CircleType.PLACE),
        ({}, 0.6, CircleType.CLOSE),
        ({}, 0.5, CircleType.OTHER),
        ({"school": "aa........"}, 0.9, CircleType.SCHOOL),  # density counts only where nothing is shared
    ],
)
def test_the_type_follows_from_what_is_shared(given, density, expected):
    """A circle of five among ten friends gets the type of the telling attribute, else close if dense, else other."""
    assert circle_type(range(5), values(**given), density) is expected


def test_a_circle_of_everybody_has_no_rest():
    """Where all friends are in the circle, the share of the rest counts as 0."""
    assert circle_type(range(10), values(location="aaaaaaaaaa"), 0.0) is CircleType.PLACE
