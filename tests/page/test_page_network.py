"""The page on a bad network, without scripts, and how much it loads."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

MOST_BYTES = 100_000


def test_without_scripts(browse, site):
    """With JavaScript off the same forms work: pick, answer with suggestions, undo, change, accept."""
    tenant = site.person()
    tab = browse(java_script_enabled=False).open(tenant)
    tab.press("See my circles")
    expect(tab.heading).to_have_text("These are your circles")
    tab.press("Start answering")
    tab.page.locator("input[name=a0][value=nobody]").check()
    for row in range(1, 6):
        tab.page.locator(f"input[name=a{row}][value=half]").check()
    tab.press("Fill in suggestions")
    expect(tab.page.locator("input[name=a0][value=nobody]")).to_be_checked()
    expect(tab.page.locator(".choices:not(:has(:checked))")).to_have_count(0)
    assert site.state(tenant).log == ()
    tab.press("Confirm")
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    assert site.state(tenant).log[0].answers[0].value == 0.0
    tab.press("Undo the last answer")
    expect(tab.page.locator(".note")).to_have_text("Taken back. Here is the question again.")
    tab.go("review/item?id=photos")
    tab.page.locator("#e-show").click()
    expect(tab.page.locator("#e-show")).to_have_attribute("aria-pressed", "true")
    tab.go("accept")
    tab.press("Accept these settings")
    expect(tab.heading).to_have_text("Your settings are in force")


def test_a_phone(browse, site):
    """On a phone the confirm bar is always in reach, and the answers are tapped."""
    tab = browse(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2).open(
        site.person()
    )
    tab.go("screen")
    bar = tab.page.locator(".actions.sticky")
    for _ in range(4):
        box = bar.bounding_box()
        assert box["y"] + box["height"] <= 845
        tab.page.mouse.wheel(0, 200)
    tab.page.locator("input[name=a3][value=most]").tap()
    tab.page.get_by_role("button", name="Confirm").tap()
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")


def test_a_lost_connection_loses_nothing(browse, site):
    """Where there is no connection the page says so and keeps what was filled in; with it the same form counts, once."""
    tenant = site.person()
    tab = browse(quiet=True).open(tenant)
    tab.go("screen")
    tab.page.locator("input[name=a0][value=most]").check()
    tab.page.context.set_offline(True)
    tab.press("Confirm")
    expect(tab.page.get_by_role("alert").filter(has_text="no connection")).to_be_visible()
    expect(tab.page.locator("input[name=a0][value=most]")).to_be_checked()
    tab.page.context.set_offline(False)
    tab.press("Confirm")
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    expect(tab.page.locator("#trouble")).to_be_empty()
    assert [entry.kind for entry in site.state(tenant).log] == ["audience"]


def test_a_reply_that_gets_lost_is_not_a_second_answer(browse, site):
    """The answer was recorded, but its reply never came: sent again, it leads on and does not count twice."""
    tenant = site.person()
    tab = browse(quiet=True).open(tenant)
    tab.go("screen")
    lost = []

    def lose(route):
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch(max_redirects=0).status)
            route.abort("connectionreset")
        else:
            route.continue_()

    tab.page.route("**/wizard/screen", lose)
    tab.confirm()
    expect(tab.page.locator("#trouble")).to_contain_text("no connection")
    tab.press("Confirm")
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    assert lost == [303]
    assert [entry.kind for entry in site.state(tenant).log] == ["audience"]


def test_a_slow_service_is_waited_for(browse, site):
    """While the service takes its time the page shows that it works, and impatient clicks do not count."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("screen")

    def dawdle(route):
        tab.page.wait_for_timeout(700)
        route.continue_()

    tab.page.route("**/wizard/screen", dawdle)
    tab.page.locator("input[name=a0]").first.check()
    confirm = tab.page.locator("button[value=confirm]")
    confirm.click(no_wait_after=True)
    expect(tab.page.locator("#loading.htmx-request")).to_be_attached()
    confirm.click(no_wait_after=True)
    expect(tab.page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    tab.page.wait_for_timeout(300)
    assert [entry.kind for entry in site.state(tenant).log] == ["audience"]


def test_a_failing_service_keeps_the_form(browse, site):
    """Where the service answers 503 the page says so, in place, and the form is still there."""
    tab = browse(quiet=True).open(site.person())
    tab.go("screen")
    tab.page.route("**/wizard/screen", lambda route: route.fulfill(status=503, body="busy"))
    tab.page.locator("input[name=a0][value=most]").check()
    tab.press("Confirm")
    expect(tab.page.locator("#trouble")).to_contain_text("did not answer")
    expect(tab.page.locator("input[name=a0][value=most]")).to_be_checked()


def test_it_is_light_and_nothing_jumps(browse, site):
    """A cold load of each page moves less than 100 KB for 229 friends, and nothing moves after it is painted.

    How quick it is, benchmarks/wizard_page.py says.
    """
    tenant = site.person("ada")
    for path in ("", "circles", "screen", "review"):
        tab = browse().open(tenant, "ada")
        session, sizes = tab.page.context.new_cdp_session(tab.page), []
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        tab.page.add_init_script(
            "window.jumps = 0; new PerformanceObserver(l => l.getEntries().forEach(e => { jumps += e.value }))"
            ".observe({type: 'layout-shift', buffered: true});"
        )
        tab.go(path)
        tab.page.wait_for_timeout(250)
        assert 20_000 < sum(sizes) < MOST_BYTES, path
        assert tab.page.evaluate("() => jumps") < 0.01, path
