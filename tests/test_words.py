import pytest
from hypothesis import given
from hypothesis import strategies as st

from privwiz.answers import AUDIENCE_SHARES, CIRCLE_SHARES
from privwiz.errors import DataError
from privwiz.words import AUDIENCES, DECISIONS, LANGUAGES, LEVELS, check_language, join_names, nearest_audience, say


@pytest.mark.parametrize("words", [AUDIENCES, DECISIONS, LEVELS])
def test_every_word_is_there_in_every_language_and_means_one_thing(words):
    """Each word has a text in each language, and no two words of a vocabulary read the same."""
    for language in LANGUAGES:
        texts = [say(words, key, language) for key in words]
        assert all(texts)
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", ["de", "EN", "zh-CN", "", None])
def test_other_languages_are_refused(language):
    """Only en and zh are languages, and the message names both."""
    with pytest.raises(DataError, match=r"is not known; use 'en' \(English\) or 'zh' \(Simplified Chinese\)"):
        check_language(language)
    with pytest.raises(DataError, match="use 'en'"):
        join_names(["Ann"], language)


def test_an_unknown_word_is_refused_with_the_known_ones():
    """A word that a vocabulary does not have is refused, and the message lists those that it has."""
    with pytest.raises(DataError, match="'perhaps' is not known here; use one of allow, deny, ask"):
        say(DECISIONS, "perhaps")


def test_answers_are_words():
    """Every answer that a toggle takes has a word, and the share of an audience answer is called by that very answer."""
    assert set(CIRCLE_SHARES) <= set(LEVELS)
    assert tuple(AUDIENCE_SHARES) == tuple(AUDIENCES)
    assert [nearest_audience(share) for share in AUDIENCE_SHARES.values()] == list(AUDIENCES)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_is_never_called_a_smaller_audience(one, other):
    """The word for a share grows with the share, and nobody and everybody are said only where that is exactly true."""
    order = list(AUDIENCES)
    smaller, larger = sorted((one, other))
    assert order.index(nearest_audience(smaller)) <= order.index(nearest_audience(larger))
    assert (nearest_audience(one) == "nobody") == (one == 0)
    assert (nearest_audience(one) == "everybody") == (one == 1)


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    """What is no share of friends has no word."""
    with pytest.raises(DataError, match=r"it must lie in 0\.\.1"):
        nearest_audience(share)


@pytest.mark.parametrize(
    ("names", "en", "zh"),
    [
        ([], "nobody", "没有人"),
        (["Ann"], "Ann", "Ann"),
        (["Ann", "Bo"], "Ann and Bo", "Ann和Bo"),
        (["Ann", "Bo", "Cy"], "Ann, Bo and Cy", "Ann、Bo和Cy"),
        (["Ann", "Bo", "Cy", "Di"], "Ann, Bo and 2 others", "Ann、Bo等4人"),
        (["Ann", "Bo", *"abcdefghijkl"], "Ann, Bo and 12 others", "Ann、Bo等14人"),
    ],
)
def test_names_are_joined_as_in_a_sentence(names, en, zh):
    """Few names are all said; of many, two and how many there are: others in English, all in Chinese."""
    assert join_names(names) == en
    assert join_names(names, "zh") == zh
