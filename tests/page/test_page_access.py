"""Everybody can use the page: WCAG 2.2 AA by axe in every state, the keyboard alone, focus, live regions, sizes of targets."""

import re

import pytest
from playwright.sync_api import expect

from privwiz_api.page.texts import tell

pytestmark = pytest.mark.slow


def visit_all(tab, site, tenant, user):
    """Go through every state of the page; yield the name of each while it is in view."""
    page = tab.page
    tab.open(tenant, user)
    yield "start"
    tab.go("circles")
    yield "circles"
    page.locator(".circle-card a").first.click()
    expect(page.locator("input[name=name]")).to_be_visible()
    yield "circle"
    page.locator("button[value=split]").click()
    expect(page.locator("p.problem")).to_be_visible()
    yield "circle, with a problem"
    page.locator("button[value=dismiss]").click()
    expect(page.locator("form.note")).to_be_visible()
    yield "circles, one dismissed"
    page.locator("form.note button").click()
    expect(page.locator("form.note")).to_have_count(0)
    tab.go("screen")
    yield "audience"
    page.locator("button[value=confirm]").click()
    expect(page.locator("p.problem")).to_be_visible()
    yield "audience, nothing said"
    page.locator(".explain summary").click()
    page.locator("#suggest").click()
    yield "audience, filled in and explained"
    page.locator("button[value=confirm]").click()
    expect(page.locator(".section-head").first).to_be_visible()
    yield "circles asked"
    page.locator("button[value=skip]").click()
    expect(page.locator(".progress-text strong")).to_contain_text("3")
    yield from visit_result(tab, site, tenant, user)


def visit_result(tab, site, tenant, user):
    """Go on through every state from the review to the end."""
    page = tab.page
    tab.go("review")
    yield "review"
    tab.go("review?all=1&also=3-14")
    expect(page.locator(".also")).to_be_visible()
    yield "review, all that is open, after a change"
    for link in (".matrix .row-link", ".column, .by-circle a", ".cell-link"):
        tab.go("review")
        target = page.locator(link).locator("visible=true")
        if not target.count():
            continue
        target.first.click()
        expect(page.locator(".crumb")).to_be_visible()
        yield f"review, {link}"
    tab.go(f"review/friend?id={site.state(tenant, user).stored.network.friends[0]}")
    yield "friend"
    tab.go("accept?note=changed")
    page.locator(".who summary").first.click()
    yield "accept"
    page.locator("form .primary").click()
    expect(page.locator(".seal")).to_be_visible()
    site.call(tenant, "POST", f"/v1/users/{user}/friends", {"friend": "zoe.new", "ties": [], "profile": {"name": "Zoe"}})
    tab.go("done")
    yield "done"
    page.locator(".person").click()
    expect(page.locator(".row").first).to_be_visible()
    yield "new friend"
    for path in ("", "review/item?id=nothing", "delete"):
        tab.go(path)
        yield path or "start, with a new friend"
    page.locator(".danger").click()
    expect(page.locator(".lead")).to_contain_text(tell("deleted_lead", page.locator("html").get_attribute("lang")[:2]))
    yield "deleted"
    tab.go("screen")
    yield "expired"
    assert site.call("nobody", "GET", "/v1/items").status_code == 200
    tab.open(site.person("bo", {"friends": {}, "ties": [], "profile": {}}), "bo")
    yield "alone"


@pytest.mark.slow
@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh", "dark")])
def test_no_state_violates_wcag(browse, site, language, theme):
    """Axe finds no violation of WCAG 2.2 A and AA in any state; contrast is also checked in the other theme."""
    tab = browse(language, quiet=True, color_scheme=theme)
    found = {}
    for name in visit_all(tab, site, site.person("cecily.penrose"), "cecily.penrose"):
        found[name] = tab.axe()
        tab.page.emulate_media(color_scheme="dark" if theme == "light" else "light")
        found[f"{name}, other theme"] = tab.axe("color-contrast")
        tab.page.emulate_media(color_scheme=theme)
    assert len(found) > 40
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_axe_can_fail(browse, site):
    """Negative control: what is broken on purpose is found, each defect by its own rule."""
    tab = browse().open(site.person())
    tab.page.evaluate(
        "() => { document.documentElement.removeAttribute('lang');"
        " document.querySelector('form .primary').textContent = '';"
        " document.querySelector('h1').setAttribute('class', 'broken');"
        " document.styleSheets[0].insertRule('.broken { color: #eee !important }'); }"
    )
    assert {rule for rule, _ in tab.axe()} >= {"html-has-lang", "button-name", "color-contrast"}


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1440])
def test_targets_are_large_and_nothing_sticks_out(browse, site, width):
    """On phone, tablet and desk nothing is wider than the page, and all that can be pressed is 44 px high or in a text."""
    tab = browse(quiet=True, viewport={"width": width, "height": 844}, has_touch=width == 390)
    for name in visit_all(tab, site, site.person("cecily.penrose"), "cecily.penrose"):
        assert tab.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), name
        small = tab.page.evaluate(
            "() => [...document.querySelectorAll('button, .button, select, input:not([type=hidden]), summary, a')]"
            ".filter(e => !e.closest('.cell-name, p:not(.crumb), .skip') && !e.matches('.skip'))"
            ".map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 90)])"
            ".filter(([box]) => box.width && (box.height < 43.5 || box.width < 24))"
            ".map(([box, html]) => `${box.width}x${box.height} ${html}`)"
        )
        assert small == [], name


def test_the_keyboard_alone_is_enough(browse, site):
    """From the first page to settings in force with Tab, arrows, digits, Space and Enter only; focus is never lost."""
    tab = browse().open(site.person())
    page = tab.page

    def reach(selector):
        for _ in range(250):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} is not reached with the Tab key")

    reach("a.skip")
    reach("input[name=item]")
    page.keyboard.press("Space")
    reach("form .primary")
    page.keyboard.press("Enter")
    expect(tab.heading).to_have_text("These are your circles")
    expect(tab.heading).to_be_focused()
    reach(".actions .primary")
    page.keyboard.press("Enter")
    expect(tab.heading).to_be_focused()
    rows = page.locator(".choices")
    reach(".choices input")
    page.keyboard.press("4")
    expect(rows.nth(0).locator("[value=most]")).to_be_checked()
    expect(rows.nth(1).locator("input").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(rows.nth(1).locator("[value=few]")).to_be_checked()
    reach("#suggest")
    page.keyboard.press("Enter")
    expect(page.locator("button[value=confirm]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".progress-text strong")).to_have_text("Screen 2 of at most 4")
    expect(tab.heading).to_be_focused()
    reach(".progress-text a")
    page.keyboard.press("Enter")
    expect(tab.heading).to_be_focused()
    reach(".seg")
    page.keyboard.press("Enter")
    expect(page.locator("#page")).to_be_visible()
    assert page.evaluate("() => document.activeElement !== document.body")
    reach(".actions .primary")
    page.keyboard.press("Enter")
    expect(tab.heading).to_have_text("Ready to put this in force?")
    reach("form .primary")
    page.keyboard.press("Enter")
    expect(tab.heading).to_have_text("Your settings are in force")


def test_progress_is_announced(browse, site):
    """After each screen a polite live region says which screen it is and how far the wizard is; it is not replaced itself."""
    tab = browse().open(site.person())
    tab.go("screen")
    tab.page.evaluate("() => { document.getElementById('live').dataset.same = 'yes' }")
    tab.press("Skip")
    live = tab.page.locator("#live[role=status][data-same=yes]")
    expect(live).to_have_text(re.compile(r"Screen 2\. About \d+ % right by now\."))


def test_nothing_moves_for_those_who_want_no_motion(browse, site):
    """With reduced motion nothing has a transition or an animation."""
    tab = browse(reduced_motion="reduce").open(site.person())
    moving = "e => [getComputedStyle(e).transitionDuration, getComputedStyle(e).animationName]"
    assert tab.page.locator("#loading").evaluate(moving) == ["0s", "none"]
