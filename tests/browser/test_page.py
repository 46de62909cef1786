"""The page in a real browser, on the real stack: what it shows, how soon, and what it never does."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from fleetfold_contracts import codec
from fleetfold_contracts.workloads import Constraints, Shard, Workload
from tests.browser.conftest import DESK_AGENT, DEVICES, Served
from tests.support.examples import GIB

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESKTOP = {"width": 1360, "height": 860}
PHONE = {"width": 390, "height": 844}
SOON_MS = 2000
LATER_MS = 15_000


@asynccontextmanager
async def looking(
    browser: Browser, served: Served, path: str = "", *, size: dict[str, int] = DESKTOP, theme: str = "light"
) -> AsyncGenerator[Page]:
    """A page of its own. When it is left it has asked nobody but the gateway, and complained of nothing."""
    context = await browser.new_context(viewport=size, color_scheme=theme)  # pyright: ignore[reportArgumentType]
    complaints: list[str] = []
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served.url}#{path}")
    await expect(page.locator("#standing")).to_have_text("Live", timeout=LATER_MS)
    try:
        yield page
    finally:
        await context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(served.url)] == []


async def test_a_placement_is_made_on_the_page_and_seen_on_all_of_them(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/placements") as page:
        await page.get_by_label("Name").fill("made-here")
        await page.get_by_label("Shards", exact=True).fill("3")
        await page.get_by_label("Vendor").select_option("nvidia")
        await page.get_by_role("button", name="Place", exact=True).click()
        await expect(page.locator(".outcome strong")).to_have_text("Placed")
        await page.get_by_role("link", name="Open it").click()
        await expect(page.locator("tbody").first.get_by_role("row")).to_have_count(3)
        await page.get_by_role("link", name="Show it on the topology").click()
        await expect(page.locator(".gpu.lit")).to_have_count(3)
        await page.get_by_role("link", name="Devices", exact=True).click()
        await page.get_by_label("Search").fill("made-here")
        await expect(page.get_by_role("status").filter(has_text="3 of 8 GPUs")).to_be_visible()
        await page.get_by_role("link", name="Events").click()
        await expect(page.get_by_text("made-here placed: 3 shards")).to_be_visible()


async def test_a_preview_shows_where_it_would_sit_and_makes_nothing(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/placements") as page:
        await page.get_by_label("Name").fill("only-tried")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.locator(".outcome strong")).to_contain_text("Nothing is made yet")
        await expect(page.locator(".outcome tbody tr")).to_have_count(2)
    placements = (await served.fleet.state()).placements
    assert "only-tried" not in {placement.workload_id for placement in placements}


async def test_a_refusal_says_what_would_have_to_change(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/placements") as page:
        await page.get_by_label("Name").fill("too-large")
        await page.get_by_label("Memory a shard, GiB").fill("500")
        await page.get_by_role("button", name="Place", exact=True).click()
        await expect(page.locator(".outcome")).to_contain_text("needs 500.0 GiB, has")


async def test_what_happens_elsewhere_is_seen_within_two_seconds(browser: Browser, served: Served) -> None:
    async with looking(browser, served) as page:
        await expect(page.get_by_text("Every GPU")).to_be_visible()
        await served.fleet.place(Workload(workload_id="from-elsewhere", shards=(Shard(memory_bytes=GIB),)))
        await expect(page.get_by_text("from-elsewhere placed")).to_be_visible(timeout=SOON_MS)
        await page.goto(f"{served.url}#/placements")
        await served.fleet.release("from-elsewhere")
        await expect(page.get_by_role("link", name="from-elsewhere")).to_have_count(0, timeout=SOON_MS)


async def test_a_chart_follows_what_the_device_reads(browser: Browser, served: Served) -> None:
    constraints = Constraints(devices=("rack-gpu0",))
    loaded = Workload(workload_id="load", shards=(Shard(memory_bytes=9 * GIB),), constraints=constraints)
    async with looking(browser, served, "/devices/rack-gpu0") as page:
        await expect(page.locator(".chart canvas")).to_have_count(4)
        memory = page.locator(".chart").filter(has_text="Memory in use").locator("output")
        before = await memory.text_content()
        assert before
        await served.fleet.place(loaded)
        await expect(memory).not_to_have_text(before, timeout=LATER_MS)
        await expect(page.get_by_role("link", name="load", exact=True)).to_be_visible()
        await served.fleet.release("load")


async def test_a_device_is_cordoned_and_taken_back_on_its_page(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/devices/shelf-gpu1") as page:
        await page.get_by_role("button", name="Cordon", exact=True).click()
        await expect(page.locator(".head .status")).to_have_text("cordoned", timeout=SOON_MS)
        await page.get_by_role("button", name="Uncordon").click()
        await expect(page.locator(".head .status")).to_have_text("live", timeout=SOON_MS)


async def test_the_table_is_read_and_opened_by_keys_alone(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/devices") as page:
        await expect(page.locator("tbody tr[aria-rowindex]")).to_have_count(DEVICES)
        await page.locator(".virtual").focus()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator("h1")).to_have_text("desk-gpu1")
        await page.get_by_role("link", name="Devices", exact=True).first.click()
        await page.get_by_role("button", name="GPU").press("Enter")
        await expect(page.get_by_role("columnheader", name="GPU")).to_have_attribute("aria-sort", "descending")
        await expect(page.locator("tbody tr[aria-rowindex] td").first).to_have_text("shelf-gpu1")


async def test_ten_thousand_rows_are_sorted_filtered_and_scrolled_at_once(browser: Browser, served: Served) -> None:
    every = await served.fleet.devices()
    (one, *_) = every.devices
    devices = [_copy(json.loads(codec.encode(one)), index) for index in range(10_000)]
    body = json.dumps({"position": every.position, "devices": devices})

    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type="application/json")

    async with looking(browser, served) as page:
        await page.route("**/api/v1/devices*", answer)
        await page.goto(f"{served.url}#/devices")
        await page.reload()
        await expect(page.get_by_text("10,000 GPUs")).to_be_visible(timeout=LATER_MS)
        started_s = time.perf_counter()
        await page.get_by_role("button", name="GPU").click()
        await expect(page.locator("tbody tr[aria-rowindex] td").first).to_have_text("many-09999")
        await page.get_by_label("Search").fill("many-0123")
        await expect(page.get_by_text("10 of 10,000 GPUs")).to_be_visible()
        assert time.perf_counter() - started_s < 3
        await page.get_by_label("Search").fill("")
        longest_ms = await page.evaluate(SCROLL_AND_MEASURE)
        assert longest_ms < 250, "a frame took longer than anybody would overlook on the slowest machine of CI"
        assert await page.locator("tbody tr").count() < 100


SCROLL_AND_MEASURE = """async () => {
    const table = document.querySelector(".virtual");
    let longest = 0;
    let last = performance.now();
    for (let step = 0; step < 40; step += 1) {
        table.scrollTop += 9000;
        await new Promise(requestAnimationFrame);
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
    }
    return longest;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_every_page_fits_every_size_and_theme(
    browser: Browser, served: Served, size: dict[str, int], theme: str, tmp_path: Path
) -> None:
    shown = f"shown-{theme}-{size['width']}"
    await served.fleet.place(Workload(workload_id=shown, shards=(Shard(memory_bytes=GIB),) * 2))
    of_placements = ("/topology", f"/topology/{shown}", "/placements", f"/placements/{shown}")
    async with looking(browser, served, size=size, theme=theme) as page:
        for path in ("/", "/devices", "/devices/rack-gpu0", *of_placements, "/work", "/events", "/devices/nobody"):
            await page.evaluate("path => { location.hash = path; }", path)
            await expect(page.locator("main h1, main .empty").first).to_be_attached()
            await expect(page.locator(".ghost")).to_have_count(0)
            await page.screenshot(path=tmp_path / f"{path.replace('/', '_')}.png")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
            unnamed = await page.evaluate(UNNAMED)
            assert unnamed == [], f"{path} has controls without a name"
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(18, 19, 21)") is (theme == "dark")


UNNAMED = """() => [...document.querySelectorAll("a, button, input, select, [role=img]")]
    .filter((element) => !(element.textContent.trim() || element.ariaLabel || element.labels?.length))
    .map((element) => element.outerHTML)"""


async def test_a_node_that_dies_is_seen(browser: Browser, served: Served) -> None:
    async with looking(browser, served, "/devices") as page:
        await page.get_by_label("Search").fill("desk")
        await served.stack.services[DESK_AGENT].kill()
        await expect(page.locator(".virtual .status").first).to_have_text("offline", timeout=2 * LATER_MS)
        await page.get_by_role("link", name="Overview").click()
        await expect(page.get_by_text("desk is offline").first).to_be_visible()
        await expect(page.get_by_text("2 down")).to_be_visible()


async def test_nats_that_is_away_is_said_with_since_when_and_what_was_known_stays(
    browser: Browser, served: Served
) -> None:
    async with looking(browser, served, "/devices") as page:
        await expect(page.locator("tbody tr[aria-rowindex]")).to_have_count(DEVICES)
        served.stack.server.stop()
        await expect(page.locator("#standing")).to_have_text("NATS is away", timeout=LATER_MS)
        await expect(page.locator("#banner")).to_contain_text("since")
        await expect(page.locator("tbody tr[aria-rowindex]")).to_have_count(DEVICES)
        await served.stack.server.start()
        await expect(page.locator("#standing")).to_have_text("Live", timeout=2 * LATER_MS)
        await expect(page.locator("#banner")).to_be_hidden()


def _copy(device: dict[str, Any], index: int) -> dict[str, Any]:
    device["capabilities"]["device_id"] = f"many-{index:05}"
    return device
