"""The page in a headless chromium: drawn with the pointer, as static files."""

import base64
import functools
import http.server
import json
import shutil
import statistics
import threading
from pathlib import Path

import numpy as np
import pytest
from local_server import LocalServer, png
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sklearn_usps
from sklearn_usps import ConvNetClassifier, ImageNormalizer, prepare_image
from sklearn_usps.draw._answer import Answers
from sklearn_usps.draw._export import export_model
from sklearn_usps.draw._server import _HEADERS

STATIC = Path(sklearn_usps.__file__).parent / "draw" / "static"
MODEL = Path(__file__).parents[2] / "docs" / "draw"
HANDS = json.loads(Path(__file__).with_name("strokes.json").read_text("utf-8"))
SIDE = 280
EMPTY = "Draw a digit, 0 to 9, on the pad."


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files with the headers of the local page, by which a browser runs nothing else."""

    def end_headers(self):
        for header in _HEADERS.items():
            self.send_header(*header)
        super().end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the page as on the documentation's site."""
    folder = tmp_path_factory.mktemp("site") / "draw"
    shutil.copytree(STATIC, folder)
    for name in ("about.json", "model.json"):
        shutil.copyfile(MODEL / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def url(site):
    """The address of the page as static files."""
    handler = functools.partial(Handler, directory=site)
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
    """The page, just opened; afterwards its console must have no error."""
    browser.get_log("browser")
    browser.get(url)
    wait_until(browser, "document.getElementById('model').textContent !== ''")
    yield browser
    assert browser.get_log("browser") == []


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


def press(page, *keys, ctrl=False):
    """Press keys, by their names in JavaScript."""
    from selenium.webdriver import ActionChains, Keys

    codes = {"Escape": Keys.ESCAPE, "ArrowDown": Keys.ARROW_DOWN}
    chain = ActionChains(page, duration=0)
    if ctrl:
        chain.key_down(Keys.CONTROL)
    for key in keys:
        chain.send_keys(codes.get(key, key))
    if ctrl:
        chain.key_up(Keys.CONTROL)
    chain.perform()


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


def labels_of(page, images):
    expression = (
        "await (async () => { const response = await fetch('model.json');"
        "const network = new m.Network(await response.json());"
        "return values[0].map((image) => network.answer(image).label); })()"
    )
    return evaluate(page, "network.js", expression, images.tolist())


def answer_of(page, model, image):
    """Return the answer of the network in a file beside the page to an image."""
    expression = (
        "await (async () => { const response = await fetch(values[0]);"
        "const network = new m.Network(await response.json());"
        "const answer = {...network.answer(values[1]), ...network.views(values[1])};"
        "for (const layer of answer.layers) layer.maps = layer.maps.map((map) => [...map]);"
        "return {...answer, neighbors: answer.neighbors.map(({ label }) => label)}; })()"
    )
    return evaluate(page, "network.js", expression, model, image)


def test_drawn_digits_are_recognized(page):
    wrong, times = [], []
    for (name, hand), kind in zip(HANDS.items(), ("pen", "touch", "mouse"), strict=True):
        for digit, strokes in hand["digits"].items():
            page.find_element("id", "clear").click()
            draw(page, strokes, hand["width"], kind)
            if (label := read(page)) != digit:
                wrong.append((name, digit, label))
            if latency := page.find_element("id", "latency").text:
                times.append(int(latency.split()[0]))
    print(f"{statistics.median(times)} ms to an answer (median), {max(times)} ms (longest)")
    assert len(wrong) <= 2, wrong


def test_preparation_agrees_with_python(page, images, prepared):
    assert np.abs(prepared - images).mean() < 0.001
    assert np.abs(prepared - images).mean(axis=1).max() < 0.01
    assert labels_of(page, prepared) == labels_of(page, images)


@pytest.mark.parametrize(
    "network_params",
    [{}, {"n_channels": (5, 6), "kernel_sizes": (5, 3), "strides": (2, 1)}],
    ids=["default", "other"],
)
def test_network_agrees_with_python(page, site, images, drawings, network_params):
    labels = np.arange(40) % 10
    classifier = ConvNetClassifier(max_epochs=3, network_params=network_params, random_state=0)
    model = make_pipeline(ImageNormalizer(), classifier).fit(images, labels)
    exported = export_model(model, images, labels)
    (site / "other.json").write_text(json.dumps(exported), "utf-8")
    answers = Answers(model, "zip", (16, 16), images, labels)
    for picture in drawings[3:5]:
        expected = answers.answer(png(picture)) | answers.views(png(picture))
        got = answer_of(page, "other.json", expected["image"])
        assert (got["label"], got["classes"]) == (expected["label"], expected["classes"])
        assert got["image_shape"] == expected["image_shape"]
        np.testing.assert_allclose(got["proba"], expected["proba"], atol=1e-4)
        assert got["neighbors"] == [neighbor["label"] for neighbor in expected["neighbors"]]
        for views in ("shifts", "rotations"):
            p = [view.pop("p") for view in expected[views]]
            np.testing.assert_allclose([view.pop("p") for view in got[views]], p, atol=1e-4)
            assert got[views] == expected[views]
        assert len(got["layers"]) == len(expected["layers"])
        for layer, other in zip(got["layers"], expected["layers"], strict=True):
            np.testing.assert_allclose(layer.pop("maps"), other.pop("maps"), atol=1e-3)
            assert layer == other


def test_undo_and_clear(page):
    bar = [[0.5, 0.2], [0.5, 0.8]]
    draw(page, [bar])
    assert read(page) == "1"
    draw(page, [[[0.3, 0.2], [0.5, 0.2]], [[0.3, 0.8], [0.7, 0.8]]])
    page.find_element("id", "undo").click()
    page.find_element("id", "undo").click()
    assert read(page) == "1"
    page.find_element("id", "clear").click()
    assert read(page) == EMPTY
    press(page, "z", ctrl=True)  # what was cleared comes back
    assert read(page) == "1"
    press(page, "Escape")
    assert read(page) == EMPTY
    press(page, "z", ctrl=True)
    press(page, "z", ctrl=True)
    press(page, "z", ctrl=True)  # no more to undo
    assert read(page) == EMPTY


def test_keyboard_draws(page):
    page.execute_script("document.getElementById('pad').focus()")
    press(page, " ", *["ArrowDown"] * 14, " ")
    assert read(page) == "1"


@pytest.mark.parametrize(
    ("strokes", "words"),
    [
        ([[[0.5, 0.3], [0.5, 0.99]]], "ink that touches the border"),
        ([[[0.3, 0.2], [0.3, 0.8]], [[0.7, 0.2], [0.7, 0.8]]], "2 characters side by side"),
        ([[[0.5, 0.5], [0.5, 0.5]]], "a solid spot"),
    ],
)
def test_refusals(page, strokes, words):
    assert read(page) == EMPTY
    draw(page, strokes)
    assert read(page).startswith(f"The picture shows {words}. ")
    assert page.find_element("id", "latency").text == ""
    assert page.find_elements("css selector", "#proba .best") == []


@pytest.fixture(params=[400, 1280])
def width(request, browser):
    size = {"width": request.param, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield request.param
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_page_fits_the_window(width, page):
    draw(page, HANDS["thin"]["digits"]["8"])
    assert read(page) == "8"
    wait_until(page, "document.querySelectorAll('#shifts li').length === 25")
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    assert len(page.find_elements("css selector", "#proba li")) == 10
    assert len(page.find_elements("css selector", "#neighbors li")) == 5
    assert len(page.find_elements("css selector", "#rotations li")) == 9
    assert len(page.find_elements("css selector", ".layer canvas")) == 5


def test_maps_with_negative_values(page):
    layer = {"name": "Convolution 1", "height": 1, "width": 3, "maps": [[-0.5, 0, 0.5]]}
    expression = (
        "(() => { document.getElementById('views').hidden = false; m.showMaps([values[0]]);"
        "const canvas = document.querySelector('.layer canvas'), n = canvas.width / 17;"
        "const { data } = canvas.getContext('2d').getImageData(0, 1, canvas.width, 1);"
        "const first = (place) => 4 * Math.floor(place * n);"
        "return [0.1, 0.5, 0.9].map((at) => [...data.slice(first(at), first(at) + 4)]); })()"
    )
    black, middle, white = evaluate(page, "views.js", expression, layer)
    assert (black, white) == ([0, 0, 0, 255], [255] * 4)
    assert 0 < sum(middle[:3]) < 3 * 255


def test_a_part_that_does_not_load_is_said(browser, site, url):
    (site / "network.js").rename(site / "elsewhere.js")
    try:
        browser.get(url)
        wait_until(browser, "document.getElementById('model').textContent !== ''")
        draw(browser, HANDS["thin"]["digits"]["0"])
        failed = "document.getElementById('label').textContent.includes('Reload the page')"
        wait_until(browser, failed)
        draw(browser, HANDS["thin"]["digits"]["1"])
        wait_until(browser, failed)
    finally:
        (site / "elsewhere.js").rename(site / "network.js")


def test_local_page_takes_pictures(browser, images, drawings, tmp_path):
    model = LogisticRegression().fit(images, np.arange(40) % 10)
    answers = Answers(model, "zip", (16, 16), None, None)
    about = {"name": "LogisticRegression", "test_error": None, "trained_on": "", "note": ""}
    with LocalServer(answers, about) as url:
        browser.get(url)
        wait_until(browser, "document.getElementById('model').textContent === 'LogisticRegression'")
        draw(browser, HANDS["thin"]["digits"]["0"], 18)
        assert read(browser) == "0"

        (tmp_path / "four.png").write_bytes(png(drawings[4]))
        (tmp_path / "text.png").write_text("no picture", "utf-8")
        browser.find_element("id", "file").send_keys(str(tmp_path / "four.png"))
        wait_until(browser, "document.getElementById('label').textContent === '4'")
        browser.find_element("id", "file").send_keys(str(tmp_path / "text.png"))
        wait_until(
            browser, "document.getElementById('label').textContent.includes('not a picture')"
        )
        assert not browser.find_element("id", "maps-section").is_displayed()  # has no layers
        dropped = "DragEvent('drop', {dataTransfer: d})"
        pasted = "ClipboardEvent('paste', {clipboardData: d})"
        for event, digit in [(dropped, 7), (pasted, 2)]:
            browser.execute_script(
                "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
                "const d = new DataTransfer(); d.items.add(new File([bytes], 'digit.png'));"
                f"document.dispatchEvent(new {event});",
                base64.b64encode(png(drawings[digit])).decode(),
            )
            wait_until(browser, f"document.getElementById('label').textContent === '{digit}'")
    browser.find_element("id", "undo").click()
    wait_until(browser, "document.getElementById('label').textContent.includes('has stopped')")
