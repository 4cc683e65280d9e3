"""Forms count for what their user saw, and for nothing else: without a browser, as somebody sends them late or spoilt."""

import re
import time
import uuid
from dataclasses import replace
from html import unescape

import pytest

from privwiz.wizard import Wizard
from privwiz_api import Settings, create_app
from privwiz_api.changes import KEPT
from privwiz_api.migrate import migrate
from privwiz_api.page import visits
from privwiz_api.page.questions import crowd

FRIENDS = [f"f{number}" for number in range(8)]
NETWORK = {
    "friends": {friend: {"profile": {}} for friend in FRIENDS},
    "ties": [[one, other] for half in (FRIENDS[:4], FRIENDS[4:]) for one in half for other in half if one < other],
}


class Ann:
    """A user, her social network's backend and her browser."""

    def __init__(self, app):
        self.app, self.service = app, app.extensions["privwiz"]
        self.tenant = f"tenant-{uuid.uuid4().hex[:8]}"
        self.api("PUT", "network", NETWORK)
        self.browser = app.test_client()
        self.open()

    def api(self, method, path, body=None, token=None, user="/v1/users/ann/", **headers):
        """Send a request to the API, as the backend or with another token."""
        token = token or self.service.tokens.issue(self.tenant, "backend", "sns admin", 600)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex, **headers}
        return self.app.test_client().open(user + path, method=method, json=body, headers=headers)

    def link(self):
        """Return the token of a new link."""
        return self.api("POST", "wizard-links", {}).json["token"]

    def open(self):
        """Open a new link."""
        return self.browser.get(f"/wizard?token={self.link()}")

    def form(self, path):
        """Return the hidden fields of the last form of a page that has a version."""
        text = self.browser.get(f"/wizard/{path}").text
        return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text)}

    def post(self, path, form, **more):
        """Send a form."""
        return self.browser.post(f"/wizard/{path}", data={**form, **more})

    def say(self, decision, item="phone", friends=FRIENDS):
        """Say over the API who may see an item."""
        self.api("POST", "answers", {"answers": [{"item": item, "friends": friends, "decision": decision}]})

    def in_force(self):
        """Return item -> the friends to whom it is shown."""
        return {row["item"]: row["in_force"] for row in self.api("GET", "policy").json["items"] if row["in_force"]}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Return a service."""
    url = f"sqlite:///{tmp_path_factory.mktemp('forms')}/forms.db"
    app = create_app(Settings(database_url=url, secret_key="k" * 40, patience=30))
    migrate(app.extensions["privwiz"].database)
    yield app
    app.extensions["privwiz"].database.close()


@pytest.fixture
def ann(app):
    """Return a user with eight friends."""
    return Ann(app)


def test_only_the_items_of_the_summary_come_into_force(ann):
    """A new link forgets what was left out; the form that was shown before is still about the items it listed."""
    for item in ("city", "phone", "email"):
        ann.say("allow", item)
    ann.post("items", ann.form(""), item=["city"])
    form = ann.form("accept")
    ann.open()
    assert ann.post("accept", form).location == "/wizard/done"
    assert list(ann.in_force()) == ["city"]


def test_a_summary_that_was_not_shown_is_not_accepted(ann):
    """A made-up version leads back to the summary, and nothing comes into force."""
    ann.say("allow")
    answer = ann.post("accept", ann.form("accept"), version=ann.api("GET", "policy").headers["ETag"])
    assert answer.location == "/wizard/accept?note=changed"
    assert ann.in_force() == {}


def test_the_choice_among_200_items_fits_into_a_cookie(ann):
    """Whatever is left out of the largest catalogue, the cookie stays below what browsers keep, and is understood."""
    catalogue = [{"id": f"{k:03}" + "x" * 60, "en": f"item {k}", "zh": "x", "sensitivity": 0.5} for k in range(200)]
    assert ann.api("PUT", "items", {"items": catalogue}, user="/v1/").status_code == 200
    answer = ann.post("items", ann.form(""), item=[catalogue[7]["id"]])
    assert len(answer.headers["Set-Cookie"]) < 3500
    assert ann.browser.get("/wizard/accept").text.count('<tr><th scope="row">') == 1


def test_a_stale_take_back_takes_back_nothing(ann):
    """Who denied something after the page was shown is not overruled by its button."""
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    form = ann.form("done")
    cells = {"cells": [{"item": "phone", "friend": "f1", "decision": "deny"}]}
    ann.api("POST", "policy/override", cells, **{"If-Match": ann.api("GET", "policy").headers["ETag"]})
    assert ann.post("accept/undo", form).location == "/wizard/accept?note=changed"
    assert "f1" not in ann.in_force()["phone"]
    assert ann.post("accept/undo", ann.form("done")).location == "/wizard/accept?note=taken_back"


def test_a_stale_undo_retracts_nothing(ann):
    """What was said after the page was shown is not retracted by its button."""
    ann.say("allow", friends=["f1"])
    form = ann.form("review")
    ann.say("deny", friends=["f2"])
    ann.post("undo", form)
    cells = ann.api("GET", "policy/cells?item=phone&friend=f2").json["cells"]
    assert cells[0]["suggested"] == "deny"
    assert [entry.kind for entry in ann.service.states.current(ann.tenant, "ann").log] == ["label", "label"]


def test_static_files_carry_no_session(ann):
    """What any cache may keep says nothing about who asked for it; what is missing is not kept."""
    answer = ann.browser.get("/wizard/static/page.css?lang=zh")
    assert "public" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
    answer.close()
    assert ann.browser.get("/wizard/static/none.css").headers["Cache-Control"] == "no-store"


def test_a_button_is_about_these_friends_not_so_many(ann):
    """If one friend left and another came, a button for all of them does nothing."""
    form = ann.form("review")
    ann.api("DELETE", "friends/f7")
    ann.api("POST", "friends", {"friend": "zoe", "ties": ["f0"]})
    ann.post("set", form, set=f'["allow","phone","all","","{crowd(FRIENDS)}"]')
    assert ann.service.states.current(ann.tenant, "ann").log == ()
    ann.post("set", form, set=f'["allow","phone","all","","{crowd([*FRIENDS[:7], "zoe"])}"]')
    assert len(ann.service.states.current(ann.tenant, "ann").log) == 1


@pytest.mark.parametrize(
    "said",
    [
        *('["allow","phone","circle",[],"x"]', '["allow","phone","circle",{},"x"]', '["allow","phone","friend",[],"x"]'),
        *("[" * 20_000, '["allow","phone","all","",1e999]', '[["allow"],"phone","all","","x"]', "{}"),
    ],
    ids=range(7),
)
def test_odd_buttons_are_refused(ann, said):
    """Whatever comes instead of a button's five texts is refused in words."""
    assert ann.post("set", ann.form("review"), set=said).status_code == 404


def test_suggestions_are_filled_into_the_whole_screen_only(ann):
    """A form with fewer rows than its screen is out of date."""
    assert ann.post("screen", ann.form("screen"), rows="0", do="suggest").location == "/wizard/screen?more=1&note=overtaken"


def test_who_confirms_nothing_is_asked_again(ann):
    """An empty screen that is confirmed is neither counted nor answered: the page says so; skipping it counts."""
    form = ann.form("screen")
    answer = ann.post("screen", form, do="confirm")
    assert (answer.status_code, "You have not said anything yet." in answer.text) == (400, True)
    assert ann.service.states.current(ann.tenant, "ann").log == ()
    assert ann.post("screen", form, rows="0").location == "/wizard/screen?more=1&note=overtaken"
    assert ann.post("screen", form, do="skip").location == "/wizard/screen"
    assert len(ann.service.states.current(ann.tenant, "ann").log) == 1


def test_who_comes_back_goes_on(ann):
    """The first button of a returning user goes on with the screens and keeps the picks; progress is told once there is some."""
    assert "right by now" not in ann.browser.get("/wizard/screen").text
    assert 'value="screen"' not in ann.browser.get("/wizard/").text
    ann.post("screen", ann.form("screen"), do="skip")
    assert "right by now" in ann.browser.get("/wizard/screen").text
    assert (
        re.search(r'class="button primary" name="go" value="screen">(.*?) <', ann.browser.get("/wizard/").text)[1] == "Continue"
    )
    assert ann.post("items", ann.form(""), item=["city"], go="screen").location == "/wizard/screen"
    assert ann.browser.get("/wizard/accept").text.count('<tr><th scope="row">') == 1


def test_the_foot_of_a_page_promises_what_is_true(ann):
    """Before the first acceptance nobody sees anything; afterwards the page says that the settings are in force."""
    promise, in_force = "Nothing is shown to anybody until you accept it.", "Your settings are in force; nothing changes until"
    assert promise in ann.browser.get("/wizard/review").text
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    for path in ("done", "review"):
        text = ann.browser.get(f"/wizard/{path}").text
        assert promise not in text
        assert in_force in text
    dead = ann.browser.get("/wizard?token=garbled").text
    assert promise not in dead
    assert "Go to your social network and open the privacy wizard there." in dead


def test_what_else_a_change_does_is_told(ann):
    """After a change the page says how many other settings it newly shows and no longer shows; nothing of it is in force."""
    ann.say("allow", friends=FRIENDS[1:3])
    before = ann.service.states.current(ann.tenant, "ann").policy
    form = ann.form("review/item?id=phone") | {"back": "/wizard/review/item?id=phone&also=7-7"}
    place = ann.post("set", form, set=f'["allow","phone","friend","f0","{crowd(["f0"])}"]').location
    after = ann.service.states.current(ann.tenant, "ann").policy
    flipped = {cell for cell, said in after.table().items() if (said == "allow") != (before.table()[cell] == "allow")}
    others = flipped - {("phone", "f0")}
    newly = sum(after.table()[cell] == "allow" for cell in others)
    assert others
    assert place == f"/wizard/review/item?id=phone&also={newly}-{len(others) - newly}"
    assert f"{len(others)} other setting" in ann.browser.get(place).text
    assert ann.in_force() == {}
    for odd in ("also=1-2-3", "also=<b>-1", "also="):
        assert "changed too" not in ann.browser.get(f"/wizard/review?{odd}").text


def test_the_summary_names_everybody_for_whom_something_changes(ann):
    """Behind each count of the summary stand the names: those newly shown an item, and those no longer shown it."""
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    ann.say("deny", friends=FRIENDS[:3])
    ann.say("allow", "city", FRIENDS[5:])
    shown = list(ann.service.states.current(ann.tenant, "ann").policy.allowed("city"))
    text = ann.browser.get("/wizard/accept").text
    rows = {row.split("<")[0]: row for row in re.split(r"</span>(?=City|Phone number)", text)[1:]}
    for item, head, friends in (("City", "Newly shown to", shown), ("Phone number", "No longer shown to", FRIENDS[:3])):
        names = re.search(rf"{head}</strong>(.*?)</p>", rows[item])[1]
        assert re.findall(r"<bdi>(\w+)</bdi>", names) == friends


def test_what_the_wizard_worked_out_can_be_left_out(ann):
    """Once settings are in force the user may accept without what is newly shown by inference; the rest comes into force."""
    assert "own_only" not in ann.browser.get("/wizard/accept").text
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    ann.say("allow", "city", FRIENDS[1:3])
    ann.say("deny", friends=["f7"])
    suggested = ann.service.states.current(ann.tenant, "ann").policy.allowed("city")
    assert len(suggested) > 2
    form = ann.form("accept")
    assert f"Leave out the {len(suggested) - 2} that" in ann.browser.get("/wizard/accept").text
    assert ann.post("accept", form, own_only="1").location == "/wizard/done"
    assert ann.in_force() == {"phone": FRIENDS[:7], "city": FRIENDS[1:3]}
    ann.post("accept", ann.form("accept"))
    assert ann.in_force()["city"] == list(suggested)


def test_what_is_kept_of_settling_is_what_was_looked_at(ann):
    """The policy that is kept with the decisions about a new friend is the one before them."""
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    ann.api("POST", "friends", {"friend": "zoe", "ties": ["f0"]})
    before = ann.service.states.current(ann.tenant, "ann").policy.to_json()
    assert ann.post("friends/new", ann.form("friends/new?id=zoe"), **{"d-email": "allow"}).location == "/wizard/done"
    assert ann.in_force()["email"] == ["zoe"]
    assert ann.api("GET", "export").json["acceptances"][-1]["policy"] == before


def test_nothing_of_an_erased_user_opens_the_next_one(ann):
    """A session, a form and a link of a user who was erased are nothing to one of the same id, on the page and in the API."""
    link, form = ann.link(), ann.form("delete")
    assert ann.api("GET", "policy", token=link).status_code == 200
    assert ann.api("DELETE", "", user="/v1/users/ann").status_code == 204
    answer = ann.browser.get("/wizard/nothing")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (404, False)
    ann.api("PUT", "network", NETWORK)
    assert ann.browser.get("/wizard/review").status_code == 401
    assert ann.post("delete", form).status_code == 401
    assert ann.browser.get(f"/wizard?token={link}").status_code == 401
    assert ann.api("GET", "policy", token=link).status_code == 404
    assert ann.api("DELETE", "", token=link, user="/v1/users/ann").status_code == 404
    ann.open()
    assert ann.browser.get("/wizard/review").status_code == 200
    assert ann.post("delete", form).status_code == 403


def test_a_session_has_a_longest_life(ann, monkeypatch):
    """However often it is used, a session ends twelve hours after it began."""
    now = int(time.time())
    codes = []
    for passed in range(0, visits.LONGEST_SECONDS + 1800, 1800):
        monkeypatch.setattr(visits.time, "time", lambda passed=passed: now + passed)
        codes.append(ann.browser.get("/wizard/delete").status_code)
    assert codes[:24] == [200] * 24
    assert codes[-1] == 401


def test_a_ticket_is_too_old_before_its_record_is_forgotten(ann, monkeypatch):
    """A form that was sent already is refused as long as it could otherwise count a second time."""
    assert KEPT.total_seconds() > visits.TICKET_SECONDS
    form, now = ann.form("review"), time.time()
    ann.open()
    monkeypatch.setattr(visits, "TICKET_SECONDS", 5)
    monkeypatch.setattr(visits.time, "time", lambda: now + 10)
    assert ann.post("set", form, set="").status_code == 403


@pytest.mark.parametrize("path", ["accept", "override"])
def test_who_is_new_stays_new_until_something_is_decided(ann, path):
    """Putting something in force for others over the API does not hide from the page that a friend is new."""
    ann.say("allow")
    ann.post("accept", ann.form("accept"))
    ann.api("POST", "friends", {"friend": "zoe", "ties": ["f0"]})
    cells = {"cells": [{"item": "email", "friend": "f1", "decision": "allow"}]}
    said = {"accept": {"friends": ["f1"]}, "override": cells}[path]
    tag = {"If-Match": ann.api("GET", "policy").headers["ETag"]}
    assert ann.api("POST", f"policy/{path}", said, **tag).status_code == 200
    assert ann.in_force()["phone"] == FRIENDS
    assert ann.browser.get("/wizard/friends/new?id=zoe").status_code == 200
    assert ann.browser.get("/wizard/friends/new?id=f2").status_code == 404


def test_friends_are_moved_together_or_not_at_all(ann):
    """If one of several cannot be moved, none is."""
    circle = ann.api("GET", "circles").json["circles"][0]
    form = ann.form("review") | {"circle": circle["id"], "into": ""}
    before = ann.api("GET", "circles").json
    ann.post("circle", form, do="move", friend=[circle["members"][0], "nobody"])
    assert ann.api("GET", "circles").json == before
    ann.post("circle", ann.form("review") | {"circle": circle["id"]}, do="move", friend=circle["members"][:2])
    assert len(ann.api("GET", "export").json["corrections"]) == 2
    assert ann.service.states.current(ann.tenant, "ann").version.revision == before["revision"] + 1


def test_forms_compute_in_their_turn_only(ann, monkeypatch):
    """Next screens and policies that a form asks for are computed while its thread has a turn."""
    turns = []

    def watched(method):
        def compute(self, *args, **kwargs):
            turns.append(getattr(ann.service.load._own, "turn", False))  # noqa: SLF001 - nothing else tells
            return method(self, *args, **kwargs)

        return compute

    for name in ("next_screen", "policy", "progress"):
        monkeypatch.setattr(Wizard, name, watched(getattr(Wizard, name)))
    circle = ann.api("GET", "circles").json["circles"][0]["id"]
    ann.post("screen", ann.form("screen"), do="suggest")
    ann.post("items", ann.form(""))
    ann.post("circle", ann.form("review"), do="move", circle=circle)
    ann.post("set", ann.form("review"), set=f'["allow","phone","open","{circle}",""]')
    assert len(turns) > 6
    assert all(turns)


def test_an_address_that_guesses_links_is_told_to_come_again(ann, monkeypatch):
    """Bad links and bad tokens count together, expired ones do not; a good link is let in from there still."""
    monkeypatch.setattr("privwiz_api.load.time.monotonic", lambda: 600.0)
    strict = create_app(replace(ann.service.settings, user_rate=2))
    try:
        browser = strict.test_client()
        expired = ann.service.tokens.issue(ann.tenant, "ann", "user", -1)
        assert {browser.get(f"/wizard?token={expired}").status_code for _ in range(4)} == {401}
        bad = {"Authorization": "Bearer guessed"}
        assert [browser.get("/v1/items", headers=bad).status_code for _ in range(3)] == [401, 401, 429]
        late = browser.get("/wizard?token=guessed")
        assert (late.status_code, late.headers["Retry-After"]) == (429, "60")
        assert "One moment, please" in late.text
        assert browser.get(f"/wizard?token={expired}").status_code == 401
        assert browser.get(f"/wizard?token={ann.link()}").status_code == 200
    finally:
        strict.extensions["privwiz"].database.close()
