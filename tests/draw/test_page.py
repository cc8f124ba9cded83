"""The page in a headless chromium: drawn with the pointer, as static files."""

import base64
import functools
import http.server
import io
import json
import shutil
import statistics
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import sklearn_usps
from sklearn_usps import prepare_image

STATIC = Path(sklearn_usps.__file__).parent / "draw" / "static"
MODEL = Path(__file__).parents[2] / "docs" / "draw"
HANDS = json.loads(Path(__file__).with_name("strokes.json").read_text("utf-8"))
SIDE = 280


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of the page, served from its files alone as on the documentation's site."""
    folder = tmp_path_factory.mktemp("site") / "draw"
    shutil.copytree(STATIC, folder)
    for name in ("about.json", "model.json"):
        shutil.copyfile(MODEL / name, folder / name)
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless", "no-sandbox", "disable-gpu", "window-size=1280,1000"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, url):
    """The page, just opened."""
    browser.get(url)
    wait_until(browser, "document.getElementById('model').textContent !== ''")
    return browser


def wait_until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20, poll_frequency=0.02).until(
        lambda browser: browser.execute_script(f"return {condition}")
    )


def draw(page, strokes, width=18, kind="mouse"):
    """Draw polylines in a unit square with a mouse, a finger ("touch") or a pen."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    page.execute_script(f"document.querySelector('[name=width][value=\"{width}\"]').click()")
    pad = page.find_element("id", "pad")
    actions = ActionBuilder(page, mouse=PointerInput(kind, kind), duration=0)
    pointer = actions.pointer_action
    for points in strokes:
        # Offsets are from the middle of the pad.
        moves = [(round(SIDE * (x - 0.5)), round(SIDE * (y - 0.5))) for x, y in points]
        pointer.move_to(pad, *moves[0]).pointer_down()
        for move in moves[1:]:
            pointer.move_to(pad, *move)
        pointer.pointer_up()
    actions.perform()


def read(page):
    """Return the text of #label once all changes are answered."""
    wait_until(page, "document.getElementById('answer').ariaBusy !== 'true'")
    return page.find_element("id", "label").text


@pytest.fixture(scope="module")
def drawings():
    """Pictures of the strokes, rotated a little and of several widths, as Pillow draws them."""
    rng = np.random.default_rng(0)
    pictures = []
    for k in range(40):
        strokes = list(HANDS.values())[k % 3]["digits"][str(k % 10)]
        angle, size, width = rng.uniform(-0.15, 0.15), rng.uniform(0.5, 1), rng.uniform(8, 28)
        turn = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        picture = Image.new("L", (4 * SIDE, 4 * SIDE), "white")
        pen = ImageDraw.Draw(picture)
        for points in strokes:
            at = 4 * SIDE * (0.5 + (np.array(points) - 0.5) @ turn)
            pen.line([tuple(point) for point in at], fill=0, width=round(4 * width), joint="curve")
            for x, y in at:
                pen.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=0)
        pictures.append(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
    return pictures


@pytest.fixture(scope="module")
def images(drawings):
    """The images that Python makes of the drawings."""
    return np.array([prepare_image(picture, version="zip").ravel() for picture in drawings])


def evaluate(page, module, expression, *values):
    """Return an expression of the exports of a module of the page, `m`, and `values`."""
    script = (
        "const [values, done] = [arguments[0], arguments[arguments.length - 1]];"
        f"import('./{module}').then(async (m) => done({{result: {expression}}}))"
        ".catch((error) => done({error: String(error)}));"
    )
    answer = page.execute_async_script(script, values)
    assert "error" not in answer, answer
    return answer["result"]


@pytest.fixture(scope="module")
def prepared(browser, url, drawings):
    """The images that the browser makes of the drawings."""
    browser.get(url)
    pixels = b"".join(np.uint8(255 - np.asarray(picture)).tobytes() for picture in drawings)
    expression = (
        "(() => { const ink = Float64Array.from(atob(values[0]), (c) => c.charCodeAt(0) / 255);"
        f"return Array.from({{length: {len(drawings)}}}, (_, i) => [...m.prepare({{height: {SIDE},"
        f"width: {SIDE}, values: ink.slice(i * {SIDE**2}, (i + 1) * {SIDE**2})}})]); }})()"
    )
    encoded = base64.b64encode(pixels).decode()
    return np.array(evaluate(browser, "prepare.js", expression, encoded))


def answers_of(page, images):
    """Return the answers of the network of the page to images."""
    expression = (
        "await (async () => { const response = await fetch('model.json');"
        "const network = new m.Network(await response.json()); const answers = values[0].map("
        "(image) => ({...network.answer(image), ...network.views(image)}));"
        "return answers.map((answer) => ({...answer, image: null, neighbors: answer.neighbors.map("
        "({ label }) => label), layers: answer.layers.map((layer) => ({...layer, "
        "maps: layer.maps.map((map) => [...map])}))})); })()"
    )
    return evaluate(page, "network.js", expression, np.asarray(images, dtype=float).tolist())


def test_drawn_digits_are_recognized(page):
    wrong, times = [], []
    for (name, hand), kind in zip(HANDS.items(), ("pen", "touch", "mouse"), strict=True):
        for digit, strokes in hand["digits"].items():
            page.find_element("id", "clear").click()
            draw(page, strokes, hand["width"], kind)
            if (label := read(page)) != digit:
                wrong.append((name, digit, label))
            times.append(int(page.find_element("id", "latency").text.split()[0]))
    print(wrong)
    print(f"{statistics.median(times)} ms to an answer (median), {max(times)} ms (longest)")
    assert len(wrong) <= 2, wrong
