"""What the tests of the page share: a service with the people of the sample town, and a real browser."""

import os
import shutil
import socket
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from privwiz.readers import read_ego_network
from privwiz_api import Settings, create_app
from privwiz_api.migrate import migrate

IN_CI = os.environ.get("CI") == "true"
TOWN = Path(__file__).parents[2] / "sample_graphs" / "town"
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOCALES = {"en": "en-US", "zh": "zh-CN"}
PATIENCE = 20_000  # milliseconds, of a busy machine
expect.set_options(timeout=PATIENCE)
FLAGS = [
    "--no-sandbox",  # Chromium refuses its sandbox when it is run as root
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def network_document(user):
    """Return the network of a user of the sample town as the REST API takes it."""
    network = read_ego_network(TOWN / "edges.csv", user, TOWN / "profiles.csv")
    weights = network.ego_weights.tolist()
    return {
        "friends": {
            friend: {"profile": {name: list(values) for name, values in network.profiles[friend].items()}, "weight": weight}
            for friend, weight in zip(network.friends, weights, strict=True)
        },
        "ties": [[one, other, weight] for one, other, weight in network.graph.edges.data("weight")],
        "profile": {name: list(values) for name, values in network.ego_profile.items()},
    }


@dataclass
class Site:
    """A running service and its social network: users are made here, and their links."""

    app: object
    url: str
    documents: dict = field(default_factory=dict)

    @property
    def service(self):
        """The parts of the service."""
        return self.app.extensions["privwiz"]

    def call(self, tenant, method, path, body=None, **headers):
        """Send a request as the tenant's backend."""
        token = self.service.tokens.issue(tenant, "backend", "sns", 600)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex, **headers}
        response = self.app.test_client().open(path, method=method, json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response

    def document(self, user):
        """Return the network of a user of the town, read once."""
        if user not in self.documents:
            self.documents[user] = network_document(user)
        return self.documents[user]

    def person(self, user="kate.garland", document=None):
        """Make a user of a tenant of its own, with the network of a user of the town or another one; return the tenant."""
        tenant = f"tenant-{uuid.uuid4().hex[:8]}"
        self.call(tenant, "PUT", f"/v1/users/{user}/network", self.document(user) if document is None else document)
        return tenant

    def link(self, tenant, user="kate.garland"):
        """Make a link for a user, as the social network does."""
        return self.call(tenant, "POST", f"/v1/users/{user}/wizard-links", {}).json["url"]

    def state(self, tenant, user="kate.garland"):
        """Return what the service keeps about a user."""
        return self.service.states.current(tenant, user)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return a service that listens on the loopback address."""
    folder = tmp_path_factory.mktemp("site")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    app = create_app(Settings(database_url=f"sqlite:///{folder}/page.db", secret_key="k" * 40, public_url=url, patience=30))
    service = app.extensions["privwiz"]
    migrate(service.database)
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(app, url)
    server.shutdown()
    server.server_close()
    service.database.close()


@pytest.fixture(scope="session")
def chromium():
    """Return a browser; tests that want it are skipped where none is installed, and fail in continuous integration."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        reason = "Chromium is not installed; on Debian: apt-get install chromium fonts-noto-cjk"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A tab of a browser: what is seen and done, and what went wrong."""

    page: object
    site: Site
    problems: list
    abroad: list

    def open(self, tenant, user="kate.garland"):
        """Follow a new link of a user."""
        self.page.goto(self.site.link(tenant, user))
        self.page.wait_for_url("**/wizard/")
        return self

    def go(self, path):
        """Go to a page of the wizard."""
        return self.page.goto(f"{self.site.url}/wizard/{path}")

    def press(self, name, *, exact=True):
        """Press the button or follow the link of this name."""
        target = self.page.get_by_role("button", name=name, exact=exact).or_(
            self.page.get_by_role("link", name=name, exact=exact)
        )
        target.first.click()

    def confirm(self):
        """Answer the first question of the screen in view, and confirm."""
        self.page.locator("input[name=a0]").first.check()
        self.press("Confirm")

    @property
    def heading(self):
        """The heading of the page."""
        return self.page.locator("#page h1")

    def axe(self, *rules):
        """Return the ids of the WCAG 2.2 A and AA violations of the page as it is now; of some rules only, if named."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": WCAG}
        found = self.page.evaluate("only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only)["violations"]
        return {(one["id"], one["nodes"][0]["html"][:160]) for one in found}


@pytest.fixture
def browse(chromium, site):
    """Return a function that opens a tab; after the test none of them may have met an error or left the site."""
    tabs, contexts = [], []

    def open_tab(language="en", *, beside=None, quiet=False, **settings):
        if beside is None:
            context = chromium.new_context(locale=LOCALES[language], **{"viewport": {"width": 1280, "height": 900}, **settings})
            context.set_default_timeout(PATIENCE)
            contexts.append(context)
        else:
            context = beside.page.context
        page, problems, abroad = context.new_page(), [], []

        def watch(route):
            if route.request.url.startswith(site.url + "/"):
                route.continue_()
            else:
                abroad.append(route.request.url)
                route.abort()

        if beside is None:
            context.route("**/*", watch)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        tabs.append((Tab(page, site, problems, abroad), quiet))
        return tabs[-1][0]

    yield open_tab
    for context in contexts:
        context.close()
    for tab, quiet in tabs:
        assert tab.abroad == []
        assert quiet or tab.problems == []
