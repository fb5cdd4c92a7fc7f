"""The report's page in a real browser: clicks, keys, hostile text, accessibility."""

import shutil

import numpy as np
import pytest
from report_pages import HOSTILE, LABELS, SOURCES, item, make_page, trace

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERIOUS = ("serious", "critical")
OPACITIES = "paths => paths.map((path) => path.getAttribute('opacity'))"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser with an empty profile."""
    with sync_api.sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=FLAGS, reduced_motion="reduce"
        )
        yield context
        context.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(make_page(["What it lacks."]).render(), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, file):
    """The open page. A message on the console, an error or a request fails the test."""
    page, problems = browser.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield page
    page.close()
    assert not problems


def step(page):
    return page.locator(".ribbon [aria-current=step]").get_attribute("data-step")


def row(page):
    return page.locator(".maps figure.chosen figcaption code").inner_text()


def test_hostile_text_is_only_text(page):
    for number in range(len(SOURCES)):
        page.locator(f'[data-item="{number}"]').click()
        for label in range(len(LABELS)):
            page.locator(".maps figcaption button").nth(label).click()
    for name in page.locator("details").all():
        name.locator("summary").first.click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 5
    assert page.locator("h1").inner_text() == "A <b>title</b> & more"
    labels = page.locator(".results tbody th").all_inner_texts()
    assert labels == list(LABELS)
    assert page.locator("#training .legend button").all_inner_texts() == list(LABELS)
    assert {HOSTILE[0], HOSTILE[3]} <= set(page.locator(".maps figcaption code").all_inner_texts())
    assert page.locator("#training figcaption").inner_text() == HOSTILE[0]


def test_text_is_never_evaluated(browser, file):
    page, messages = browser.new_page(), []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".plot svg").count() == 2  # drawn all the same
    page.evaluate("() => { setTimeout('window.hacked = 1', 0); }")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=\"window.hacked = 1\">a</p>')")
    page.evaluate("document.body.lastElementChild.click()")
    page.wait_for_timeout(50)
    assert page.evaluate("window.hacked") is None
    assert len(messages) == 2
    assert all("Content Security Policy" in message for message in messages)
    page.close()


def test_keys_step_through_rows_items_and_seeds(page):
    page.locator(".maps figcaption button").nth(0).click()
    assert (step(page), row(page)) == ("0", "dot")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert step(page) == "2"
    page.keyboard.press("ArrowLeft")
    assert step(page) == "1"
    page.keyboard.press("ArrowDown")
    assert row(page) == "general"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert row(page) == LABELS[-1]
    assert "no attention" in page.locator(".step").inner_text()
    page.keyboard.press("n")
    assert page.locator(".items [aria-current]").get_attribute("data-item") == "1"
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert page.locator(".items [aria-current]").get_attribute("data-item") == str(len(SOURCES) - 1)
    page.keyboard.press("s")
    assert page.get_by_label("Seed").input_value() == "1"
    page.keyboard.press("g")
    assert page.locator(".maps .gold").count() == 0
    page.keyboard.press("/")
    page.keyboard.type("년")
    assert page.locator(".items button").count() == 1


def test_a_click_on_a_map_chooses_row_and_step(page):
    page.locator(".maps figure").nth(1).locator(".hit").nth(2).click()
    assert (step(page), row(page)) == ("2", "general")
    page.get_by_role("button", name="Next step").click()
    assert step(page) == "3"
    assert page.evaluate("document.activeElement.ariaLabel") == "Next step"


def test_the_numbers_of_a_step_are_its_weights(page):
    page.locator(".maps figcaption button").nth(1).click()
    page.locator(".step details summary").click()
    weights = page.locator(".step table td").all_inner_texts()
    assert weights == [f"{round(w * 1e4) / 1e4:.4f}" for w in item(0, "general").weights[0]]
    assert page.locator("[aria-live]").inner_text().startswith("general, step 1 of 5: 2, largest weight")


def test_heads_and_scores_of_a_step(page):
    page.locator(".maps figcaption button").nth(1).click()
    assert "mean of all heads" in page.locator(".step").inner_text()
    assert page.locator(".score-bar").count() == 0
    page.keyboard.press("h")
    page.keyboard.press("h")
    assert page.get_by_label("Head").input_value() == "1"
    page.locator(".step details summary").click()
    cells = [float(text) for text in page.locator(".step table td").all_inner_texts()]
    scores, weights = np.array(cells[::2]), np.array(cells[1::2])
    np.testing.assert_allclose(scores, trace(item(0, "general"), 2).scores[0, 1], atol=1e-3)
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(), weights, atol=1e-3)
    assert page.locator(".score-bar").count() == len(weights)
    page.keyboard.press("s")
    assert "do not save queries and scores" in page.locator(".step").inner_text()
    assert page.locator("label", has_text="Head").is_hidden()


def test_items_are_sorted_and_searched(page):
    page.get_by_label("Sort by").select_option("length")
    assert page.locator(".items button").first.get_attribute("data-item") == "4"
    page.get_by_label("Sort by").select_option("disagreement")
    notes = [float(text) for text in page.locator(".items .note").all_inner_texts()]
    assert notes == sorted(notes, reverse=True)
    page.get_by_label("Search").fill("أبريل")
    assert page.locator(".items button").count() == 1


def test_a_map_of_arabic_words_reads_from_right_to_left(page):
    page.locator('[data-item="1"]').click()
    labels = page.locator(".maps svg").first.locator(".above")
    places = [(label.bounding_box()["x"], label.text_content()) for label in labels.all()]
    assert [text for _, text in sorted(places, reverse=True)] == SOURCES[1]


def test_a_legend_button_leaves_one_row_visible(page):
    button = page.locator("#training .legend button").first
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    opacities = page.locator("#training .mark-symbol path").evaluate_all(
        "all => all.map(one => one.getAttribute('opacity'))"
    )
    assert set(opacities) == {"1", "0.1"}


def test_numbers_of_a_chart_are_in_a_table(page):
    page.locator("#training details summary").click()
    page.wait_for_selector("#training table")
    assert page.locator("#training table tbody tr").count() == 3 * len(LABELS)
    page.locator("#training select").select_option("1")
    page.locator("#training .caption", has_text=HOSTILE[2]).wait_for()
    assert page.locator("#training h2").inner_text() == "Training"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_is_accessible(page, size, theme):
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=theme)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page).response["violations"]
    assert [
        (one["id"], [node["html"] for node in one["nodes"]]) for one in violations if one["impact"] in SERIOUS
    ] == []


def test_the_button_changes_the_theme(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    light = background()
    button = page.locator("#theme")
    button.click()
    assert background() == light
    button.click()
    assert background() != light


def test_a_page_without_maps_says_so(browser, tmp_path):
    path, page = tmp_path / "page.html", browser.new_page()
    path.write_text(make_page(explorer=False).render(), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert "need the outputs of the runs" in page.locator("#explorer").inner_text()
    page.close()
