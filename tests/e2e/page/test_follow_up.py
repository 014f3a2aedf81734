"""Two pictures of one lesion: aligned and compared on the device, or shown without a comparison."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    button,
    choose,
    file,
    lesion,
    scrolls_sideways,
    violations,
)
from tests.e2e.service_process import ServiceProcess

SKIN = (226, 190, 170)
SIZE = (600, 450)


def skin(seed: int = 1) -> Image.Image:
    """Skin with its lines and pores, which are what pictures are aligned by."""
    random = np.random.default_rng(seed)
    rough = np.zeros((SIZE[1], SIZE[0]), np.float32)
    for cell, amount in ((5, 9.0), (10, 10.0), (25, 8.0)):
        coarse = random.normal(0, amount, (SIZE[1] // cell, SIZE[0] // cell)).astype(np.float32)
        rough += np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC))
    pixels = np.clip(np.array(SKIN) + rough[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def with_lesion(half: tuple[int, int], colour: tuple[int, int, int], seed: int = 1) -> Image.Image:
    """A lesion with these half axes on the same skin, whose grain shows through it."""
    below = skin(seed)
    mask = Image.new("L", SIZE)
    (x, y), (wide, high) = (SIZE[0] // 2, SIZE[1] // 2), half
    ImageDraw.Draw(mask).ellipse((x - wide, y - high, x + wide, y + high), fill=215)
    return Image.composite(Image.new("RGB", SIZE, colour), below, mask)


def moved(image: Image.Image, angle: float, scale: float) -> Image.Image:
    """Turn and scale about the middle, as another shot of the same skin is."""
    cos, sin = np.cos(np.radians(angle)) / scale, np.sin(np.radians(angle)) / scale
    (x, y) = (SIZE[0] / 2, SIZE[1] / 2)
    way = (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)
    return image.transform(
        SIZE, Image.Transform.AFFINE, way, Image.Resampling.BICUBIC, fillcolor=SKIN
    )


def png(name: str, image: Image.Image) -> FilePayload:
    content = io.BytesIO()
    image.save(content, "PNG")
    return file(name, content.getvalue())


BROWN = (110, 70, 50)


def open_follow_up(page: Page) -> Locator:
    button(page, "Follow-up").click()
    dialog = page.locator("#change-dialog")
    expect(dialog).to_be_visible()
    return dialog


def see_status(dialog: Locator, text: str) -> None:
    expect(dialog.get_by_role("status")).to_contain_text(text)


def test_a_lesion_that_grew_is_aligned_and_its_growth_told(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, viewport={"width": 390, "height": 844})
    before = with_lesion((100, 80), BROWN)
    # Half as large again, turned, and under less light.
    after = ImageEnhance.Brightness(moved(with_lesion((122, 98), BROWN), 25, 1.1)).enhance(0.85)
    choose(page, png("a.png", before), png("b.png", after))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialog = open_follow_up(page)
    see_status(dialog, "Aligned.")
    area = dialog.locator("dd").first.inner_text()
    grown = int(area.partition("%")[0])
    assert 35 <= grown <= 65, area
    assert "larger" in area
    turned = dialog.locator("dd").nth(2).inner_text()
    assert turned.startswith(("scaled to 90%", "scaled to 91%", "scaled to 92%")), turned
    assert turned.endswith(("by 24°", "by 25°", "by 26°")), turned
    expect(dialog.get_by_role("img")).to_have_count(3)
    expect(dialog).to_contain_text("for a physician to judge")
    expect(dialog.locator(".notice")).to_have_text("Research use only. Not a medical device.")
    assert (violations(page), scrolls_sideways(page)) == ([], False)
    # Nothing but its own scripts was asked for.
    assert {url.rpartition("/")[2] for url in asked if not url.startswith("blob:")} <= {
        "follow-up.js",
        "follow-up-worker.js",
    }
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button(page, "Follow-up")).to_be_focused()


def test_pictures_of_different_lesions_are_shown_without_a_comparison(page: Page) -> None:
    one, other = with_lesion((100, 80), BROWN, seed=1), with_lesion((100, 80), BROWN, seed=2)
    choose(page, png("a.png", one), png("b.png", other))
    dialog = open_follow_up(page)
    see_status(dialog, "too few details in common to be aligned")
    expect(dialog.get_by_role("img")).to_have_count(2)
    expect(dialog.locator("dl")).to_have_count(0)


def test_what_shows_no_lesion_is_not_compared(page: Page) -> None:
    choose(page, png("a.png", skin()), png("b.png", moved(skin(), 10, 1)))
    dialog = open_follow_up(page)
    see_status(dialog, "no lesion stands out in one of them")
    expect(dialog.locator("dl")).to_have_count(0)


def test_the_pictures_are_chosen_and_the_last_choice_counts(page: Page) -> None:
    lesions = [with_lesion((100, 80), BROWN), with_lesion((100, 80), (90, 40, 60))]
    choose(page, *(png(f"{at}.png", image) for at, image in enumerate(lesions)), lesion("nv"))
    dialog = open_follow_up(page)
    later = dialog.get_by_role("combobox", name="Later picture")
    later.select_option(index=2)
    see_status(dialog, "too few details in common")
    later.select_option(index=0)
    see_status(dialog, "Choose two different pictures.")
    later.select_option(index=1)
    see_status(dialog, "Aligned.")
    expect(dialog.locator("dd").first).to_have_text("less than 5% different")
    difference = dialog.locator("dd").nth(1).inner_text()
    assert float(difference.split()[1]) > 10, difference
    expect(dialog.get_by_role("img")).to_have_count(3)


def test_a_worker_that_fails_leaves_the_pictures_side_by_side(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, service_workers="block")
    page.route("**/page/follow-up-worker.js", lambda route: route.fulfill(status=404))
    choose(page, lesion("mel"), lesion("nv"))
    dialog = open_follow_up(page)
    see_status(dialog, "This browser could not compare the pictures.")
    expect(dialog.get_by_role("img")).to_have_count(2)


def test_a_similarity_is_found_among_wrong_pairs(module_page: Page) -> None:
    random = np.random.default_rng(4)
    a, b, x, y = 0.8, 0.5, 30.0, -12.0
    places = random.uniform(0, 300, (60, 2))
    u, v = places.T
    truth = np.stack([a * u - b * v + x, b * u + a * v + y], axis=1)
    truth[:35] = random.uniform(0, 300, (35, 2))
    found: dict[str, Any] = module_page.evaluate(
        """async ([from, to]) => {
            const { findSimilarity, inverse, mapped } =
                await import("/page/modules/follow-up/similarity.js");
            const places = (list) => list.map(([x, y]) => ({ x, y }));
            const { similarity, inliers } = findSimilarity(places(from), places(to));
            const there = mapped(similarity, { x: 10, y: 20 });
            const few = [[], [{ x: 1, y: 1 }]].map((each) => findSimilarity(each, each));
            return { similarity, inliers, back: mapped(inverse(similarity), there), few };
        }""",
        json.loads(json.dumps([places.tolist(), truth.tolist()])),
    )
    assert found["similarity"] == pytest.approx({"a": a, "b": b, "x": x, "y": y}, abs=0.05)
    assert set(range(35, 60)) <= set(found["inliers"])
    assert found["back"] == pytest.approx({"x": 10, "y": 20}, abs=1e-6)
    assert found["few"] == [None, None]


def test_colours_are_those_of_cielab(module_page: Page) -> None:
    from skimage.color import rgb2lab

    colours = [[255, 255, 255], [0, 0, 0], [110, 70, 50], [226, 190, 170], [20, 30, 200]]
    found = module_page.evaluate(
        """async (colours) => {
            const { lab } = await import("/page/modules/follow-up/comparison.js");
            return colours.map(lab);
        }""",
        colours,
    )
    expected = rgb2lab(np.array(colours, np.float64) / 255)
    assert np.abs(np.array(found) - expected).max() < 0.1
