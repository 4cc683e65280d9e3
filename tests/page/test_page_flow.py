"""The whole way, from a link to settings in force, as people go it."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from privwiz.decisions import Decision
from privwiz.simulate import SimulatedPolicy
from privwiz.simulated_user import SimulatedUser
from privwiz.words import nearest_audience
from privwiz_api.page.flow import MOST_SCREENS
from privwiz_api.page.texts import tell

pytestmark = pytest.mark.slow

TOWN = Path(__file__).parents[2] / "sample_graphs" / "town"


def truth(state, user):
    """Return what a user of the town really wants: a bool array of items x friends."""
    with (TOWN / "policies.csv").open(encoding="utf-8") as file:
        wanted = {(row["item"], row["friend"]): row["decision"] == "allow" for row in csv.DictReader(file) if row["user"] == user}
    return np.array([[wanted[item.id, friend] for friend in state.stored.network.friends] for item in state.items])


def simulated(state, user):
    """Return a simulated user who wants what the town says."""
    allow = truth(state, user)
    return SimulatedUser(SimulatedPolicy(state.items, state.stored.network.friends, allow, allow, user), seed=0)


def asked(state):
    """Return the screen that the page shows."""
    return state.wizard.fork().next_screen(items=[item.id for item in state.items])


def tap_through(tab, state, person):
    """Answer the screen in view as a person does; return the number of taps."""
    page, taps, left = tab.page, 0, False
    for number, toggle in enumerate(asked(state).toggles):
        said = person.answer(toggle)
        value = said if isinstance(said, str) else nearest_audience(said)
        box = page.locator(f"input[name=a{number}][value={value}]")
        if value != toggle.likeliest:
            box.click()
            taps += 1
        else:
            left |= toggle.preset is None
    if left:
        page.locator("#suggest").click()
        taps += 1
    page.locator("button[value=confirm]").click()
    return taps + 1


@pytest.mark.slow
def test_ada_reaches_a_policy_in_few_screens_and_taps(browse, site):
    """A user of 229 friends has a whole policy to review after four screens, most of it right, and accepts it.

    That 90 % of it are right cannot be reached on this user: docs/page.md says why, and what is; this test holds it.
    """
    tenant = site.person("ada")
    tab = browse().open(tenant, "ada")
    person, allow = simulated(site.state(tenant, "ada"), "ada"), truth(site.state(tenant, "ada"), "ada")
    tab.press("See my circles")
    tab.press("Start answering")
    taps, record = 0, []
    for number in range(1, MOST_SCREENS + 1):
        expect(tab.page.locator(".progress-text strong")).to_have_text(f"Screen {number} of at most {MOST_SCREENS}")
        taps += tap_through(tab, site.state(tenant, "ada"), person)
        expect(tab.page.get_by_text(f"Screen {number} of at most {MOST_SCREENS}")).to_have_count(0)
        policy = site.state(tenant, "ada").policy
        likelier = (policy.probability >= 0.5) == allow
        record.append((number, taps, float(likelier.mean()), float((policy.shown & ~allow).mean())))
        if tab.page.url.endswith("/review"):
            break
    print("screens, taps, share right, share shown against the user's will:", record)
    assert len(record) <= 10
    assert taps <= 35
    assert record[-1][2] > 0.82
    assert max(wrong for *_, wrong in record) < 0.03
    expect(tab.heading).to_have_text("This is what each friend would see")
    tab.press("Looks right: go on")
    assert site.state(tenant, "ada").standing == ()
    tab.press("Accept these settings")
    expect(tab.heading).to_have_text("Your settings are in force")
    state = site.state(tenant, "ada")
    assert state.in_force == {
        cell: said if said == Decision.ALLOW else state.policy.table()[cell] for cell, said in state.policy.table().items()
    }


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_whole_way(browse, site, language):
    """Link, start, circles, screens, undo, review, a change by hand, accept, take back, export, delete: in both languages."""

    def text(key, **values):
        return tell(key, language, **values)

    tenant = site.person()
    tab = browse(language).open(tenant)
    page = tab.page
    expect(page.locator("html")).to_have_attribute("lang", "en" if language == "en" else "zh-Hans")
    expect(tab.heading).to_contain_text("25")
    tab.press(text("start_go"))
    expect(tab.heading).to_have_text(text("circles_heading"))
    expect(page.locator(".picture .dot")).to_have_count(25)
    tab.press(text("circles_go"))
    screen = page.locator(".progress-text strong")
    expect(screen).to_have_text(text("progress_screen", number=1, most=MOST_SCREENS))
    tab.press(text("use_suggestions"))
    tab.press(text("confirm"))
    expect(screen).to_have_text(text("progress_screen", number=2, most=MOST_SCREENS))
    tab.press(text("skip"))
    expect(screen).to_have_text(text("progress_screen", number=3, most=MOST_SCREENS))
    tab.press(text("undo"))
    expect(screen).to_have_text(text("progress_screen", number=2, most=MOST_SCREENS))
    page.locator(".explain summary").click()
    expect(page.locator(".explain")).to_contain_text(text("why_suggestion"))
    tab.press(text("review_now"))
    expect(tab.heading).to_have_text(text("review_heading"))

    page.locator(".row-link").first.click()
    page.locator("#e-show").click()
    expect(page.locator("#e-show")).to_have_attribute("aria-pressed", "true")
    page.locator("#e-hide").click()
    expect(page.locator("#e-hide")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#e-hide")).to_be_focused()
    page.locator("#e-show").click()
    expect(page.locator("#e-show")).to_have_attribute("aria-pressed", "true")
    tab.press(text("undo_change"))
    expect(page.locator("#e-hide")).to_have_attribute("aria-pressed", "true")
    first = page.locator(".row-link").first
    tab.go("review")
    name = first.inner_text()
    assert page.locator("tbody tr").first.locator(".total").inner_text().startswith("0")
    tab.press(text("review_go"))
    expect(tab.heading).to_have_text(text("accept_heading"))
    assert name in page.locator("tbody tr").first.inner_text()
    tab.press(text("accept_go"))
    expect(tab.heading).to_have_text(text("done_heading"))
    assert site.state(tenant).standing
    have_second_thoughts(tab, site, tenant, text)


def have_second_thoughts(tab, site, tenant, text):
    """Take the acceptance back, accept again, export everything, and delete it."""
    tab.press(text("take_back"))
    expect(tab.page.locator(".note").first).to_have_text(text("note_taken_back"))
    assert not site.state(tenant).standing
    tab.press(text("accept_go"))
    with tab.page.expect_download() as download:
        tab.press(text("export"))
    assert '"acceptances"' in Path(download.value.path()).read_text(encoding="utf-8")
    tab.press(text("delete"))
    tab.press(text("delete_go"))
    expect(tab.heading).to_have_text(text("deleted_title"))
    assert site.state(tenant) is None


def test_a_circle_is_corrected(browse, site):
    """A circle gets the user's name, loses who does not belong to it, and is no group when the user says so."""
    tenant = site.person("cecily.penrose")
    tab = browse(quiet=True).open(tenant, "cecily.penrose")
    tab.go("circles")
    cards = tab.page.locator(".circle-card")
    size = int(re.search(r"\d+", cards.first.locator(".soft").inner_text())[0])
    cards.first.get_by_role("link").click()
    tab.page.get_by_label("Name of this circle").fill("The choir <b>")
    tab.press("Rename")
    expect(cards.first.locator("h2")).to_have_text("The choir <b>")
    cards.first.get_by_role("link").click()
    tab.press("Make a circle of their own")
    expect(tab.page.get_by_role("alert").filter(has_text="Tick")).to_have_text(
        "Tick at least three people for a circle of their own, and leave some."
    )
    tab.page.locator(".member input").first.check()
    tab.page.get_by_label("Move them to").select_option("")
    tab.press("Move")
    expect(cards.filter(has_text="The choir").locator(".soft")).to_have_text(f"{size - 1} people")
    cards.filter(has_text="The choir").get_by_role("link").click()
    tab.press("This is not a group")
    expect(tab.heading).to_have_text("These are your circles")
    expect(cards.filter(has_text="The choir")).to_contain_text("You said that this is not a group.")
    expect(tab.page.locator("form.note")).to_contain_text("“The choir <b>” is no group any more")
    inside = sum(
        int(text.split()[0]) for text in cards.filter(has=tab.page.get_by_role("link")).locator(".soft").all_inner_texts()
    )
    expect(tab.page.locator("figcaption")).to_contain_text(f"{inside} of your")
    tab.press("Undo")
    expect(cards.filter(has_text="The choir").locator(".soft")).to_have_text(f"{size - 1} people")


def test_a_new_friend_sees_nothing_until_the_user_decides(browse, site):
    """Who joins after the acceptance sees nothing until the user accepts suggestions for this friend, changed or not."""
    tenant = site.person()
    tab = browse().open(tenant)
    tab.go("accept")
    tab.press("Accept these settings")
    expect(tab.heading).to_have_text("Your settings are in force")
    friends = site.state(tenant).stored.network.friends[:6]
    for friend in ("zoe.new", "yan.new"):
        body = {"friend": friend, "ties": list(friends), "profile": {"name": friend.title()}}
        site.call(tenant, "POST", "/v1/users/kate.garland/friends", body)
    tab.go("")
    tab.press("Zoe.New")
    expect(tab.heading).to_have_text("What may Zoe.New see?")
    assert all(said == "deny" for cell, said in site.state(tenant).in_force.items() if cell[1] == "zoe.new")
    for box in tab.page.locator("input[value=deny]").all()[1:]:
        box.check()
    tab.page.locator("input[name=d-phone][value=allow]").click()
    tab.page.get_by_role("button", name="Accept", exact=True).click()
    expect(tab.heading).to_have_text("Your settings are in force")
    state = site.state(tenant)
    assert [cell for cell, said in state.in_force.items() if cell[1] == "zoe.new" and said == "allow"] == [("phone", "zoe.new")]
    assert all(said == "deny" for cell, said in state.in_force.items() if cell[1] == "yan.new")
    expect(tab.page.locator(".person")).to_have_text(["YNYan.New"])


def test_what_is_left_out_stays_as_it_is(browse, site):
    """Items that were not picked are neither asked about nor accepted; at least one must be picked."""
    tenant = site.person()
    tab = browse(quiet=True).open(tenant)
    boxes = tab.page.locator("input[name=item]")
    for box in boxes.all():
        box.uncheck()
    tab.press("See my circles")
    expect(tab.page.locator("p.problem")).to_have_text("Choose at least one thing to go on.")
    for box in boxes.all():
        box.uncheck()
    tab.page.locator("input[value=photos]").check()
    tab.press("See my circles")
    tab.press("Start answering")
    expect(tab.page.locator(".row-name")).to_have_text(["Photos"])
    tab.page.locator("input[value=everybody]").check()
    tab.press("Confirm")
    expect(tab.page.get_by_text("Screen 1 of at most 4")).to_have_count(0)
    tab.go("accept")
    tab.press("Accept these settings")
    expect(tab.heading).to_have_text("Your settings are in force")
    shown = {item for (item, _), said in site.state(tenant).in_force.items() if said == "allow"}
    assert shown <= {"photos"}


def test_without_friends_or_ties_the_page_says_so(browse, site):
    """No friends, and friends who do not know each other: said in plain words, and the second are asked about all the same."""
    alone = site.person("bo", {"friends": {}, "ties": [], "profile": {}})
    tab = browse().open(alone, "bo")
    expect(tab.heading).to_have_text("There is nothing to set yet")
    for path in ("circles", "screen", "review", "accept"):
        assert tab.go(path).status == 200
    strangers = site.person("cy", {"friends": {f"f{k}": {} for k in range(5)}, "ties": [], "profile": {}})
    tab = browse("zh").open(strangers, "cy")
    tab.go("circles")
    expect(tab.page.locator(".lead")).to_contain_text("没有圈子")
    tab.go("screen")
    expect(tab.page.locator("fieldset.row")).to_have_count(12)
