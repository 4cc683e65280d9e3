"""Take the screenshots of the wizard page: a simulated Ada goes through it, in English and Chinese, in the light and in the dark.

    python docs/screenshots.py docs/screenshots

Needs Chromium and fonts: on Debian `apt-get install chromium fonts-noto-cjk fonts-roboto-unhinted`.
"""

import csv
import io
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from privwiz.simulate import SimulatedPolicy
from privwiz.simulated_user import SimulatedUser
from privwiz.words import nearest_audience
from privwiz_api import Settings, create_app
from privwiz_api.migrate import migrate
from privwiz_api.sample import TENANT, load_sample
from privwiz_api.service import Service

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
USER = "ada"
SCREENS = 3
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
SIZES = {"desk": (1280, 800), "tablet": (768, 1024), "phone": (390, 844)}
SHOTS = [
    ("start", "", "desk", "en", "light"),
    ("circles", "circles", "desk", "en", "light"),
    ("screen", "screen", "desk", "en", "light"),
    ("review", "review", "desk", "en", "light"),
    ("people", "review/group?item=photos&circle={circle}", "tablet", "en", "light"),
    ("friend", "review/friend?id=adam.guo", "tablet", "zh", "light"),
    ("accept", "accept", "tablet", "en", "dark"),
    ("circles-zh", "circles", "desk", "zh", "dark"),
    ("start-phone", "", "phone", "zh", "light"),
    ("screen-phone", "screen", "phone", "en", "dark"),
    ("review-phone", "review", "phone", "zh", "dark"),
]
"""Name of the picture, page, size, language and theme."""


def main(folder: Path) -> None:
    """Take all pictures into a folder."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium fonts-noto-cjk fonts-roboto-unhinted")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        app = create_app(Settings(database_url=f"sqlite:///{scratch}/sample.db", secret_key="for these pictures only " * 2))
        service: Service = app.extensions["privwiz"]
        migrate(service.database)
        load_sample(service, TOWN, USER)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/wizard"
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        answer_as_ada(browser, service, url)
        for name, path, size, language, theme in SHOTS:
            page = open_wizard(browser, service, url, size, language, theme)
            page.goto(f"{url}/{path.format(circle=state(service).circles.level(2)[2].id)}")
            save(page, folder / f"{name}.png")
            page.context.close()
        browser.close()
        server.shutdown()
        service.database.close()


def open_wizard(browser: Browser, service: Service, url: str, size: str, language: str, theme: str) -> Page:
    """Follow a link of Ada's in a browser of her own."""
    width, height = SIZES[size]
    context = browser.new_context(
        locale="zh-CN" if language == "zh" else "en-US",
        color_scheme=theme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{url}?token={service.tokens.issue(TENANT, USER, 'user', 600)}")
    page.wait_for_url("**/wizard/")
    return page


def answer_as_ada(browser: Browser, service: Service, url: str) -> None:
    """Answer some screens as the sample's Ada would."""
    with (TOWN / "policies.csv").open(encoding="utf-8") as file:
        wanted = {(row["item"], row["friend"]): row["decision"] == "allow" for row in csv.DictReader(file) if row["user"] == USER}
    wizard = state(service)
    friends = wizard.network.friends
    allow = np.array([[wanted[item.id, friend] for friend in friends] for item in wizard.items])
    ada = SimulatedUser(SimulatedPolicy(wizard.items, friends, allow, allow, USER), seed=0)
    page = open_wizard(browser, service, url, "desk", "en", "light")
    for number in range(1, SCREENS + 1):
        page.goto(f"{url}/screen")
        screen = state(service).next_screen(items=[item.id for item in wizard.items])
        assert screen is not None, "Ada has more screens to answer"
        for row, toggle in enumerate(screen.toggles):
            said = ada.answer(toggle)
            value = said if isinstance(said, str) else nearest_audience(said)
            page.locator(f"input[name=a{row}][value={value}]").check()
        page.locator("button[value=confirm]").click()
        expect(page.locator(".progress-text strong")).to_contain_text(f"Screen {number + 1} ")
    page.context.close()


def state(service: Service):  # noqa: ANN201 - a wizard, of which only the service knows the type
    """Return Ada's wizard."""
    known = service.states.current(TENANT, USER)
    assert known is not None
    assert known.wizard is not None
    return known.wizard.fork()


def save(page: Page, path: Path) -> None:
    """Save what is in view with 256 colours, which halves the file."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
