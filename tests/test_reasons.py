import pickle

import numpy as np
import pytest

from privwiz.errors import DataError
from privwiz.items import profile_item
from privwiz.reasons import ANSWERS, Reason, reason_table
from privwiz.words import LANGUAGES

PHONE = profile_item("phone")


def make(kind, answer, friend="Bo"):
    """Return a reason of this kind with the parts it needs."""
    circle = ("Work", "同事") if kind == "circle" else None
    friends = ("Ann", "Cy") if kind == "friends" else ()
    return Reason(kind, PHONE, friend, answer, circle, friends)


ALL = [(kind, answer) for kind, answers in ANSWERS.items() for answer in answers]


@pytest.mark.parametrize(
    ("kind", "answer", "en", "zh"),
    [
        ("own", "allow", "You set this yourself.", "这是您自己设定的。"),
        (
            "unsure",
            "",
            "You were not sure, so it stays hidden until you decide.",
            "您还不确定，所以在您决定之前不会显示。",
        ),
        (
            "circle",
            "most",
            "Bo is in “Work”; you said most there may see your phone number.",
            "Bo在“同事”圈子里；您说过其中大多数人可以看到您的电话号码。",
        ),
        (
            "circle",
            "deny",
            "Bo is in “Work”; you did not allow it to see your phone number.",
            "Bo在“同事”圈子里；您不允许这个圈子看到您的电话号码。",
        ),
        (
            "friends",
            "allow",
            "You let Ann and Cy, close to Bo, see your phone number.",
            "您允许与Bo关系近的Ann和Cy看到您的电话号码。",
        ),
        (
            "friends",
            "deny",
            "You hid your phone number from Ann and Cy, close to Bo.",
            "您不让与Bo关系近的Ann和Cy看到您的电话号码。",
        ),
        (
            "audience",
            "few",
            "You said few of your friends may see your phone number.",
            "您说过只有少数好友可以看到您的电话号码。",
        ),
        (
            "prior",
            "",
            "A guess from what is usual for your phone number; no single answer of yours says more about it yet.",
            "这是根据一般情况对您的电话号码所作的推测；您的回答中还没有哪一条更能说明问题。",
        ),
    ],
)
def test_a_reason_is_one_plain_sentence(kind, answer, en, zh):
    """Each kind of reason reads as one short sentence in English, which is also its str, and in Chinese."""
    reason = make(kind, answer)
    assert reason.text() == str(reason) == en
    assert reason.text("zh") == zh


def test_a_circle_is_called_a_circle_once():
    """A Chinese name that ends in the word for circle is not followed by it again."""
    reason = Reason("circle", profile_item("phone"), "Bo", "some", circle=("Circle of Ann and Cy", "Ann和Cy的圈子"))
    assert reason.text("zh") == "Bo在“Ann和Cy的圈子”里；您说过其中一部分人可以看到您的电话号码。"


@pytest.mark.parametrize(("kind", "answer"), ALL)
def test_every_reason_has_a_whole_sentence_in_every_language(kind, answer):
    """No kind and answer is without words, and no sentence has a gap left to fill."""
    for language in LANGUAGES:
        text = make(kind, answer).text(language)
        assert text.endswith("." if language == "en" else "。")
        assert "{" not in text
    assert make(kind, answer).text("en") != make(kind, answer).text("zh")


def test_different_answers_give_different_sentences():
    """What the user said can be told from the sentence, except for the user's own setting, which stands beside it."""
    for kind, answers in ANSWERS.items():
        sentences = {make(kind, answer).text() for answer in answers}
        assert len(sentences) == (1 if kind == "own" else len(answers))


def test_names_with_braces_are_only_names():
    """A friend or circle whose name looks like a format field is said as it is."""
    reason = Reason("circle", PHONE, "{item}", "all", ("{0}", "{friend}"))
    assert reason.text().startswith("{item} is in “{0}”; ")
    assert make("friends", "allow", friend="{friends}").text() == "You let Ann and Cy, close to {friends}, see your phone number."


def test_a_reason_refuses_other_languages():
    """A language without words is an error, not English."""
    with pytest.raises(DataError, match="language 'de' is not known"):
        make("prior", "").text("de")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("guess", PHONE, "Bo"), "kind 'guess' cannot rest on the answer ''"),
        (("circle", PHONE, "Bo", "perhaps", ("a", "b")), "kind 'circle' cannot rest on the answer 'perhaps'"),
        (("own", PHONE, "Bo"), "kind 'own' cannot rest on the answer ''"),
        (("prior", PHONE, "Bo", "allow"), "kind 'prior' cannot rest on the answer 'allow'"),
        (("circle", PHONE, "Bo", "all"), "wrong parts: circle None"),
        (("audience", PHONE, "Bo", "few", ("a", "b")), "wrong parts: circle"),
        (("friends", PHONE, "Bo", "allow"), r"wrong parts: .* friends \(\)"),
        (("prior", PHONE, "Bo", "", None, ("Ann",)), "wrong parts: .* friends"),
    ],
)
def test_a_reason_whose_parts_do_not_go_together_is_refused(arguments, message):
    """Kind, answer, circle and friends must fit: a sentence never has a gap."""
    with pytest.raises(DataError, match=message):
        Reason(*arguments)


def test_a_table_gives_back_every_reason_and_keeps_each_once():
    """A table of found reasons answers like what found them, and cells that differ only in their friend share an entry."""
    friends = ("Ann", "Bo", "Cy")
    kinds = [["own", "circle", "circle"], ["prior", "prior", "friends"]]
    items = (PHONE, profile_item("email"))

    def reasons(j, f):
        reason = make(kinds[j][f], ANSWERS[kinds[j][f]][0], friends[f])
        return Reason(reason.kind, items[j], friends[f], reason.answer, reason.circle, reason.friends)

    table = reason_table(reasons, 2, friends)
    assert [table(j, f) for j in range(2) for f in range(3)] == [reasons(j, f) for j in range(2) for f in range(3)]
    assert len(table.distinct) == 4
    assert not table.index.flags.writeable
    again = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own bytes
    assert again(0, 1) == reasons(0, 1)


def test_a_reason_about_another_friend_is_noticed():
    """A reason that names another friend than its cell never gets into a table."""
    with pytest.raises(DataError, match="the reason of a cell of friend 'Bo' is about 'Ann'"):
        reason_table(lambda _item, _friend: Reason("prior", PHONE, "Ann"), 1, ("Ann", "Bo"))


def test_a_table_of_no_friends_is_empty():
    """A user without friends has a table, with nothing in it."""
    table = reason_table(lambda _item, _friend: pytest.fail("asked for a reason"), 2, ())
    assert table.index.shape == (2, 0)
    assert table.index.dtype == np.int32
