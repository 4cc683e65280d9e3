"""The wizard page in a real browser: what a cold load moves, when it is painted, and how long answers take.

Loads with an empty cache at a quarter of the speed of the processor; answers at full speed. With 229 friends (the sample's Ada)
and with 1,000 (groups of 50). Medians of several runs. Server and browser share the machine.

Run: ``python benchmarks/wizard_page.py``; needs Chromium ($CHROMIUM, or on the PATH).
"""

import os
import platform
import shutil
import statistics
import tempfile
import threading
from pathlib import Path

import networkx as nx
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from privwiz.graphs import ego_network
from privwiz_api import Settings, create_app
from privwiz_api.documents import document_of
from privwiz_api.migrate import migrate
from privwiz_api.sample import TENANT, load_sample
from privwiz_api.service import Service

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
PAGES = ("", "circles", "screen", "review")
LOADS = 5
SCREENS = 8
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
WATCH_PAINTS = """
window.paints = []; window.jumps = 0;
new PerformanceObserver(l => l.getEntries().forEach(e => paints.push(e.startTime)))
  .observe({type: 'largest-contentful-paint', buffered: true});
new PerformanceObserver(l => l.getEntries().forEach(e => { jumps += e.value })).observe({type: 'layout-shift', buffered: true});
"""
WATCH_TAPS = """() => {
window.slowest = 0; window.asked = 0;
new PerformanceObserver(l => l.getEntries().forEach(e => { slowest = Math.max(slowest, e.duration) }))
  .observe({type: 'event', durationThreshold: 16, buffered: true});
document.addEventListener('click', e => {
  if (e.target.value === 'confirm') { asked = performance.now(); window.took = 0 }
}, true);
document.addEventListener('htmx:afterSettle', () => { window.took = performance.now() - asked });
}"""


def main() -> None:
    """Measure, and print the tables."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed: nothing is measured")
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        app = create_app(Settings(database_url=f"sqlite:///{scratch}/bench.db", secret_key="for this benchmark only " * 2))
        service: Service = app.extensions["privwiz"]
        migrate(service.database)
        people = {229: load_sample(service, TOWN), 1000: load_large(app, service)}
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/wizard"
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        print(f"{'friends':>8} {'page':<10} {'KB':>6} {'painted, ms':>12} {'shift':>6}")
        for friends, user in people.items():
            for path in PAGES:
                loads = [cold_load(open_wizard(browser, service, url, user), f"{url}/{path}") for _ in range(LOADS)]
                size, paint, jump = map(statistics.median, zip(*loads, strict=True))
                print(f"{friends:>8} {path or 'start':<10} {size / 1000:>6.1f} {paint:>12.0f} {jump:>6.3f}")
        print(f"\n{'friends':>8} {'next screen, ms':>16} {'longest, ms':>12} {'slowest tap painted, ms':>24}")
        for friends, user in people.items():
            waits, slowest = answer(open_wizard(browser, service, url, user), url)
            print(f"{friends:>8} {statistics.median(waits):>16.0f} {max(waits):>12.0f} {slowest:>24.0f}")
        browser.close()
        server.shutdown()
        service.database.close()


def load_large(app, service: Service) -> str:  # noqa: ANN001 - a Flask application
    """Make a user with 1,000 friends in groups of 50; return the id."""
    graph = nx.planted_partition_graph(20, 50, 0.4, 0.01, seed=1)
    graph.add_edges_from(("me", friend) for friend in list(graph))
    network = ego_network(nx.relabel_nodes(graph, {node: str(node) for node in graph}), "me")
    token = service.tokens.issue(TENANT, "bench", "sns", 600)
    headers = {"Authorization": f"Bearer {token}"}
    answered = app.test_client().put("/v1/users/me/network", json=document_of(network), headers=headers)
    assert answered.status_code == 201, answered.text
    return "me"


def open_wizard(browser: Browser, service: Service, url: str, user: str) -> Page:
    """Follow a link of a user in a browser of its own."""
    page = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{url}?token={service.tokens.issue(TENANT, user, 'user', 600)}")
    page.wait_for_url("**/wizard/")
    return page


def cold_load(page: Page, address: str) -> tuple[int, float, float]:
    """Load a page with nothing in the cache at a quarter of the speed: bytes, largest contentful paint in ms, layout shift."""
    session, sizes = page.context.new_cdp_session(page), list[int]()
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.add_init_script(WATCH_PAINTS)
    page.goto(address)
    page.wait_for_timeout(400)
    paint, jump = page.evaluate("() => [Math.max(...paints), jumps]")
    page.context.close()
    return sum(sizes), paint, jump


def answer(page: Page, url: str) -> tuple[list[float], float]:
    """Confirm screens: from each Confirm to the next screen in ms, and the slowest interaction's next paint in ms."""
    page.goto(f"{url}/screen?more=1")
    page.evaluate(WATCH_TAPS)
    waits = []
    for number in range(2, SCREENS + 2):
        page.locator("input[name=a0]").first.click()
        page.locator("button[value=confirm]").click()
        expect(page.locator(".progress-text strong")).to_contain_text(f"Screen {number}")
        waits.append(page.wait_for_function("() => window.took").json_value())
    return waits, page.evaluate("() => slowest")


if __name__ == "__main__":
    main()
