"""The page in a real browser: silent, without network, as wide as the window, in both colour schemes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trainwright.report import run

from tests.chromium import Browser, chromium
from tests.sample_run import sample_facts, sample_run

ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CONTRAST = """
(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll("p, h1, h2, h3, td, th, dt, dd, a, span, summary, code")) {
    if (!e.innerText || !e.innerText.trim() || e.closest(".hidden, .skip")) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(e.className + ": " + e.innerText.slice(0, 40));
  }
  return poor;
})()
"""


@pytest.fixture(scope="module")
def browser(needs: Callable[[str], str]) -> Iterator[Browser]:
    with chromium(needs("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sample run with every text hostile and long."""
    folder = tmp_path_factory.mktemp("run")
    facts = sample_facts()
    for file in ("examples.json", "probes.json"):
        for example in facts["stages"]["evaluate"]["files"][file]:
            example["after"] = ATTACK + "W" * 300
    facts["stages"]["prepare"]["metrics"]["kept"]["topic"][ATTACK] = 12
    config, inputs = sample_run(folder, facts)
    run(config, inputs, folder)
    return folder / "report.html"


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_is_silent_and_fits_the_window(browser: Browser, report: Path, width: int, dark: bool) -> None:
    page = browser.open(report, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.requests == [report.resolve().as_uri()]
    assert page.logged == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser: Browser, report: Path, dark: bool) -> None:
    assert browser.open(report, dark=dark).evaluate(CONTRAST) == []


def test_colour_schemes_differ(browser: Browser, report: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    grounds = {browser.open(report, dark=dark).evaluate(colour) for dark in (False, True)}
    assert len(grounds) == 2


def test_hostile_texts_are_shown_and_never_run(browser: Browser, report: Path) -> None:
    page = browser.open(report)
    assert page.evaluate("document.title") == "quickstart · Trainwright report"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.querySelector('.talk .new').innerText").startswith(ATTACK)


def test_policy_stops_a_script_that_slipped_in(browser: Browser, report: Path, tmp_path: Path) -> None:
    slipped = tmp_path / "slipped.html"
    html = report.read_text("utf-8").replace("</main>", "<script>document.title = 'owned'</script></main>")
    slipped.write_text(html, "utf-8")
    assert browser.open(slipped).evaluate("document.title") != "owned"


def test_page_tells_everything_without_script(browser: Browser, report: Path) -> None:
    """With scripts off the page cannot be asked, so it is measured by what is drawn: same height, same charts."""
    heights = []
    for script in (True, False):
        page = browser.open(report, script=script)
        heights.append(browser.call("Page.getLayoutMetrics", {}, page.session)["cssContentSize"]["height"])
    assert heights[0] == heights[1]


def test_pointer_over_the_curve_reads_the_figures(browser: Browser, report: Path) -> None:
    page = browser.open(report)
    page.evaluate("document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})")
    place = page.evaluate("(r => [r.right - 1, r.top + 50])(document.querySelector('.chart').getBoundingClientRect())")
    page.move_pointer(*place)
    assert "validation 3.750" in page.evaluate("document.querySelector('.readout').innerText")
