"""Open the built documentation in chromium at two widths and check its links.

Run: make docs-check. It needs chromium and its driver, selenium and LinkChecker, and saves
screenshots in docs/_build/screenshots. Run by root, LinkChecker switches to the user "nobody", who
must be able to read the pages.
"""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

PAGES = Path(__file__).parent / "_build" / "html"
SCREENSHOTS = PAGES.parent / "screenshots"
#: The configuration of LinkChecker.
CONFIG = Path(__file__).parent / "linkcheckerrc"
WIDTHS = (1280, 400)
OPENED = {
    "front": "index.html",
    "gallery": "auto_examples/index.html",
    "example": "auto_examples/plot_multi_task.html",
    "guide": "guide/training.html",
    "draw": "draw/index.html",
    "figures": "figures.html",
    "api": "generated/sklearn_usps.ConvNetClassifier.html",
    "search": "search.html?q=ImageNormalizer",
}
#: The search page must list this result.
FOUND = "sklearn_usps.ImageNormalizer"
BROKEN = "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
WIDEST = "return document.documentElement.scrollWidth"
RESULTS = "return document.querySelectorAll('#search-results li').length"


def main() -> int:
    problems = missing()
    if not problems:
        with Server() as address:
            problems = look(address)
        problems += check_links(PAGES / "index.html")
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


def missing() -> list[str]:
    """Return a message for each missing requirement, with the command that installs it."""
    found = {
        "built pages: make docs": (PAGES / "index.html").exists(),
        "chromium: apt-get install chromium": shutil.which("chromium"),
        "chromedriver: apt-get install chromium-driver": shutil.which("chromedriver"),
        'linkchecker: pip install "sklearn-usps[docs]"': linkchecker(),
    }
    try:
        import selenium  # noqa: F401 (only checks that it is installed)
    except ImportError:
        found['selenium: pip install "sklearn-usps[docs]"'] = None
    return [f"Missing: {what}" for what, there in found.items() if not there]


def linkchecker() -> str | None:
    return shutil.which("linkchecker", path=str(Path(sys.executable).parent))


class Server:
    """Local HTTP server of the pages, on a free port."""

    def __enter__(self) -> str:
        handler = functools.partial(QuietHandler, directory=PAGES)
        self.server = QuietServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Ignore errors: browsers close connections that they no longer need."""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def look(address: str) -> list[str]:
    """Open the pages at each width and return their problems."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    try:
        return [
            f"{name} at {width} pixels: {problem}"
            for width in WIDTHS
            for name, page in OPENED.items()
            for problem in look_at(driver, address + page, name, width)
        ]
    finally:
        driver.quit()


def look_at(driver, url: str, name: str, width: int) -> list[str]:
    # Emulated, because a window cannot be as narrow as a phone.
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(url)
    problems = []
    if name == "search":
        problems += look_for_results(driver)
    height = min(driver.execute_script("return document.documentElement.scrollHeight"), 12_000)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**screen, "height": height})
    driver.save_screenshot(SCREENSHOTS / f"{name}-{width}.png")
    problems += [
        entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"
    ]
    problems += [f"broken image {source}" for source in driver.execute_script(BROKEN)]
    if (widest := driver.execute_script(WIDEST)) > width:
        problems.append(f"the page is {widest} pixels wide")
    print(f"{name:8} {width:5}  {'; '.join(problems) or 'ok'}", flush=True)
    return problems


def look_for_results(driver) -> list[str]:
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.support.ui import WebDriverWait

    try:
        WebDriverWait(driver, 20).until(lambda d: d.execute_script(RESULTS) > 0)
        WebDriverWait(driver, 20).until(lambda d: FOUND in d.page_source)
    except TimeoutException:
        return [f"{FOUND} is not among the results"]
    return []


def check_links(page: Path) -> list[str]:
    """Check all links from a page to others of its folder, and their anchors.

    LinkChecker reads the files from disk, since it takes minutes over HTTP.
    """
    command = [linkchecker(), "--config", str(CONFIG), "--threads=4", str(page)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout.strip().splitlines()[-2] if result.stdout else result.stderr, flush=True)
    return [] if result.returncode == 0 else [result.stdout + result.stderr]


if __name__ == "__main__":
    sys.exit(main())
