"""Nothing is lost, counted twice, shown to others or taken for markup, whatever people and their networks do."""

import re
import time

import pytest
from playwright.sync_api import expect

from privwiz.errors import DataError
from privwiz_api import Settings, create_app
from privwiz_api.migrate import migrate
from privwiz_api.page import store, visits
from privwiz_api.page.questions import crowd
from privwiz_api.problems import Problem

pytestmark = pytest.mark.slow

HOSTILE = {
    "html": "<img src=x onerror=alert(1)>",
    "turned": "\u202eevil\u202c name",
    "long": "x" * 900,
    "emoji": "👩‍👩‍👧‍👦 Family",
    "quote": "\"'`${7*7}{{7*7}}",
    "blank": "\u200b\u2800",
    "chinese": "王小明",
}


def log(site, tenant, user="kate.garland"):
    """Return the kinds of what the user has said."""
    return [entry.kind for entry in site.state(tenant, user).log]


def test_a_double_submit_counts_once(browse, site):
    """Two quick clicks on Confirm record one screen, and so does the same form sent twice."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("screen")
    tab.page.locator("input[name=a0]").first.check()
    tab.page.locator("button[value=confirm]").dblclick()
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    assert log(site, tenant) == ["audience"]
    form = tab.page.evaluate("() => Object.fromEntries(new FormData(document.querySelector('form.screen')))")
    for _ in range(2):
        answer = tab.page.request.post(f"{site.url}/wizard/screen", form={**form, "do": "skip"})
        assert "Screen 3 of at most 4" in answer.text()
        assert "answered already" not in answer.text()
    assert len(log(site, tenant)) == 2


def test_the_back_button_is_harmless(browse, site):
    """Back leads to the question that is open, and an old form that is sent again changes nothing and says so."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("screen")
    tab.confirm()
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    tab.page.go_back()
    expect(tab.page.locator(".progress-text strong")).to_contain_text("Screen")
    tab.confirm()
    expect(tab.heading).to_be_visible()
    assert log(site, tenant)[0] == "audience"
    assert "audience" not in log(site, tenant)[1:]


def test_two_tabs_do_not_get_in_each_others_way(browse, site):
    """The tab that comes second is told that the question was answered, and goes on with the next; nothing counts twice."""
    tenant = site.person()
    first = browse().open(tenant)
    second = browse(beside=first)
    first.go("screen")
    second.go("screen")
    first.confirm()
    expect(first.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    second.confirm()
    expect(second.page.locator(".note")).to_contain_text("answered already")
    expect(second.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    assert log(site, tenant) == ["audience"]


def test_what_is_accepted_is_what_was_seen(browse, site):
    """If a cell changed between looking and accepting, nothing comes into force, and the summary is shown again."""
    tenant = site.person()
    tab = browse().open(tenant)
    other = browse(beside=tab)
    tab.go("accept")
    other.go("review/item?id=photos")
    other.page.locator("#e-show").click()
    expect(other.page.locator("#e-show")).to_have_attribute("aria-pressed", "true")
    tab.press("Accept these settings")
    expect(tab.page.locator(".note").first).to_contain_text("Something changed")
    assert not site.state(tenant).standing


def test_a_button_is_about_whom_the_user_saw(browse, site):
    """Who joined since a circle was shown is shown nothing by a button for the whole of it; two quick clicks both count."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("review/item?id=photos")
    ticket = tab.page.locator("input[name=ticket]").first.get_attribute("value")

    def press(said):
        return tab.page.request.post(f"{site.url}/wizard/set", form={"ticket": ticket, "set": said})

    seen = crowd(site.state(tenant).stored.network.friends)
    site.call(tenant, "POST", "/v1/users/kate.garland/friends", {"friend": "zoe.new", "ties": [], "profile": {}})
    press(f'["allow","photos","all","","{seen}"]')
    assert log(site, tenant) == []
    friends = site.state(tenant).stored.network.friends
    for friend in (friends[0], friends[1], friends[1]):
        press(f'["allow","photos","friend","{friend}","{crowd([friend])}"]')
    assert log(site, tenant) == ["label", "label"]


def test_an_expired_session_keeps_what_was_filled_in(browse, site):
    """After the session has ended the page says what to do; after a new link the answers are sent and count."""
    tenant = site.person()
    tab = browse(quiet=True).open(tenant)
    tab.go("screen")
    tab.page.locator("input[name=a0][value=most]").check()
    tab.page.context.clear_cookies()
    tab.press("Confirm")
    expect(tab.heading).to_have_text("Please open the wizard again")
    assert log(site, tenant) == []
    browse(beside=tab, quiet=True).open(tenant)
    tab.press("Send what I filled in")
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    assert site.state(tenant).log[0].answers[0].value == 0.8


def test_a_form_of_another_user_is_refused(browse, site):
    """What was filled in for one user is not taken for another who opens the wizard in the same browser."""
    tenant, other = site.person(), site.person()
    tab = browse(quiet=True).open(tenant)
    tab.go("screen")
    browse(beside=tab, quiet=True).open(other)
    tab.press("Confirm")
    expect(tab.heading).to_have_text("This form is not yours")
    assert log(site, tenant) == log(site, other) == []


@pytest.mark.parametrize("spoil", ["tampered", "expired", "backend", "nonsense"])
def test_a_link_that_is_not_right_opens_nothing(browse, site, spoil, monkeypatch):
    """A tampered or expired link, a backend's token and nonsense are refused in plain words, and give no session."""
    tenant, tokens = site.person(), site.service.tokens
    token = {
        "tampered": lambda: tokens.issue(tenant, "kate.garland", "user", 60)[:-3] + "abc",
        "expired": lambda: tokens.issue(tenant, "kate.garland", "user", -1),
        "backend": lambda: tokens.issue(tenant, "kate.garland", "user sns", 60),
        "nonsense": lambda: "<b>",
    }[spoil]()
    tab = browse(quiet=True)
    answer = tab.page.goto(f"{site.url}/wizard?token={token}")
    assert answer.status == 401
    expect(tab.heading).to_have_text("Please open the wizard again")
    assert tab.page.context.cookies() == []
    assert tab.go("review").status == 401


def test_a_session_ends(browse, site, monkeypatch):
    """An hour after its last request a session is none any more."""
    tab = browse(quiet=True).open(site.person())
    assert tab.go("review").status == 200
    now = time.time()
    monkeypatch.setattr(visits.time, "time", lambda: now + visits.SESSION_SECONDS + 1)
    assert tab.go("review").status == 401


def test_forms_need_a_ticket(browse, site):
    """Without a ticket, or with a made-up one, nothing is changed: another site cannot send forms in the user's name."""
    tenant = site.person()
    tab = browse().open(tenant)
    for ticket in ({}, {"ticket": "made-up"}, {"ticket": "AAAA" * 12}):
        for path in ("undo", "accept", "set", "delete", "screen", "circle", "items", "friends/new", "accept/undo"):
            answer = tab.page.request.post(f"{site.url}/wizard/{path}", form=ticket)
            assert answer.status == 403, path
    assert site.state(tenant).version.revision == 1


def test_the_cookie_is_for_this_page_only(browse, site):
    """The session's cookie is not readable by scripts, not sent from other sites and not sent to the API."""
    tab = browse().open(site.person())
    cookie = tab.page.context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/wizard/")


def test_hostile_names_are_text(browse, site):
    """Names and values with markup, turning marks, 900 letters, emoji, templates or nothing visible are text, cut short."""
    friends = {key: {"profile": {"name": name, "school": [name, "The Same"]}} for key, name in HOSTILE.items()}
    document = {
        "friends": friends,
        "ties": [[one, other] for one in HOSTILE for other in HOSTILE if one < other],
        "profile": {"name": HOSTILE["html"]},
    }
    tenant = site.person("eve", document)
    tab = browse().open(tenant, "eve")
    expect(tab.page.locator(".eyebrow")).to_have_text(HOSTILE["html"])
    for path in ("circles", "circle?id=c1", "screen", "review", "accept", "review/friend?id=html", "review/friend?id=turned"):
        assert tab.go(path).status == 200, path
        text = tab.page.locator("body").inner_text()
        assert "\u202e" not in text
        assert "x" * 100 not in text
        assert "49" not in text
        assert tab.page.locator("main img").count() == 0
        assert tab.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    expect(tab.heading).to_have_text("What evil name would see")


def test_the_policy_of_contents_is_strict(browse, site):
    """Scripts, styles, pictures and forms are of this service only, nothing is inline, and no page is kept in caches."""
    tab = browse()
    answer = tab.page.goto(site.link(site.person()))
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"} <= set(
        re.split(r"; ?", policy)
    )
    tab.page.wait_for_url("**/wizard/")
    for path in ("", "circles", "screen", "review", "accept"):
        answer = tab.go(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"<style|style=|<script(?! src=)|\son[a-z]+=", answer.text())


def test_the_address_to_go_back_to_is_ours(browse, site):
    """A form cannot send the browser to another site."""
    tab = browse().open(site.person())
    tab.go("review/item?id=photos")
    ticket = tab.page.locator("input[name=ticket]").first.get_attribute("value")
    for back in ("https://evil.example/", "//evil.example", "/wizard/\\evil", "/wizard/\r\nX: y"):
        form = {"ticket": ticket, "back": back, "set": '["deny","photos","all","","x"]'}
        answer = tab.page.request.post(f"{site.url}/wizard/set", form=form, max_redirects=0)
        assert answer.headers["location"] == "/wizard/review"


def test_errors_are_pages_too(browse, site, monkeypatch):
    """What is not there, a method that does not fit, and a service that fails are said in words, in the user's language."""
    tab = browse("zh", quiet=True).open(site.person())
    for path in ("nothing/here", "items", "review/friend?id=nobody"):
        assert tab.go(path).status == 404
        expect(tab.heading).to_have_text("这里已经没有这项内容")
    monkeypatch.setattr(store, "read", lambda _: 1 / 0)
    assert tab.go("review").status == 500
    expect(tab.heading).to_have_text("请稍等")
    monkeypatch.setattr(store, "read", busy)
    answer = tab.go("review")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    expect(tab.heading).to_have_text("请稍等")


def test_requests_of_a_user_are_limited(tmp_path):
    """A user who asks for page after page is told to wait, in words and with the time; another user is not."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/limits.db", secret_key="k" * 40, user_rate=3))
    service = app.extensions["privwiz"]
    migrate(service.database)
    ann, bo = app.test_client(), app.test_client()
    for client, name in ((ann, "ann"), (bo, "bo")):
        backend = {"Authorization": f"Bearer {service.tokens.issue('sns', 'backend', 'sns', 60)}"}
        client.put(f"/v1/users/{name}/network", json={"friends": {}}, headers=backend)
        client.get(f"/wizard?token={service.tokens.issue('sns', name, 'user', 60)}")
    assert [ann.get("/wizard/nothing").status_code for _ in range(4)] == [404, 404, 404, 429]
    answer = ann.get("/wizard/nothing")
    assert int(answer.headers["Retry-After"]) > 0
    assert "One moment, please" in answer.text
    assert bo.get("/wizard/nothing").status_code == 404
    service.database.close()


def test_photos_come_from_known_origins_only():
    """The settings name from where photos may come; the policy of contents lets only those in."""
    app = create_app(Settings(photo_origins=("https://photos.example",)))
    policy = app.test_client().get("/wizard/").headers["Content-Security-Policy"]
    assert "img-src https://photos.example 'self' data:;" in policy
    for origin in ("http://photos.example", "https://photos.example/path", "https://a; script-src *", "*"):
        with pytest.raises(DataError, match="photo_origins"):
            Settings(photo_origins=(origin,))


def busy(_):
    """Be as busy as a service can be."""
    raise Problem(503, "busy", "The service is busy.", {"Retry-After": "1"})


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        '["allow"]',
        '["allow","x","all","",25]',
        '["grant","photos","all","",25]',
        "null",
        "[1,2,3,4,5]",
        '[{},[],"all",{},25]',
    ],
)
def test_buttons_that_do_not_exist_change_nothing(browse, site, said):
    """A choice that is none of the page's is refused, and nothing is recorded."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("review")
    ticket = tab.page.locator("input[name=ticket]").first.get_attribute("value")
    answer = tab.page.request.post(f"{site.url}/wizard/set", form={"ticket": ticket, "set": said})
    assert answer.status == 404
    assert log(site, tenant) == []
