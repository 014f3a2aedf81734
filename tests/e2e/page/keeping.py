"""Keeping results on the device, as a person does it."""

from playwright.sync_api import Locator, Page, expect

from tests.e2e.page.hands import button

PASSPHRASE = "correct horse battery staple"

NOTE = "left-forearm-7731"

PHONE = {"viewport": {"width": 390, "height": 844}}

# What a person with the tools of the browser can read of it.
STORED = """async () => {
    const database = await new Promise((done) => {
        indexedDB.open("lentigo-kept").onsuccess = (event) => done(event.target.result);
    });
    const names = [...database.objectStoreNames];
    const read = (name) => new Promise((done) => {
        const store = database.transaction(name).objectStore(name);
        store.getAll().onsuccess = (event) => done(event.target.result);
    });
    const found = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await read(n)])));
    database.close();
    return found;
}"""


def open_dialog(page: Page) -> Locator:
    button(page, "Keep on this device").click()
    dialog = page.locator("#keep-dialog")
    expect(dialog.locator("form, .alert:not(:empty)").first).to_be_visible()
    return dialog


def press_keep(page: Page) -> None:
    page.locator("#keep-dialog").get_by_role("button", name="Keep", exact=True).click()


def keep_first(page: Page, *, image: bool = False, note: str = "") -> None:
    """Keep the selected result, under a new passphrase."""
    dialog = open_dialog(page)
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(page, image=image, note=note)


def fill_and_keep(page: Page, *, image: bool = False, note: str = "") -> None:
    dialog = page.locator("#keep-dialog")
    dialog.locator("#keep-image").set_checked(image)
    dialog.locator("#keep-note").fill(note)
    press_keep(page)
    expect(dialog).to_have_count(0)
    expect(button(page, "Kept on this device")).to_be_disabled()


def open_section(page: Page) -> Locator:
    page.get_by_text("Kept results", exact=True).click()
    return page.locator("#kept-body")


def unlock(page: Page, passphrase: str = PASSPHRASE) -> None:
    page.locator("#unlock-passphrase").fill(passphrase)
    button(page, "Unlock").click()


def reopened(page: Page) -> Locator:
    """The list, in the page loaded again and unlocked."""
    page.reload()
    page.locator("body.loaded").wait_for()
    section = open_section(page)
    unlock(page)
    expect(section.locator("h3")).to_be_visible()
    return section


def see_failure(page: Page, text: str) -> None:
    expect(page.locator("#keep-dialog .alert")).to_contain_text(text)


def tamper(page: Page, name: str, act: str) -> None:
    """Change what is stored, as another program would: `act` on store, values and keys."""
    page.evaluate(
        """async (name) => {
            const database = await new Promise((done) => {
                indexedDB.open("lentigo-kept").onsuccess = (event) => done(event.target.result);
            });
            const transaction = database.transaction(name, "readwrite");
            const store = transaction.objectStore(name);
            const get = (what) => new Promise((done) => {
                store[what]().onsuccess = (event) => done(event.target.result);
            });
            const [values, keys] = [await get("getAll"), await get("getAllKeys")];
            ACT
            await new Promise((done) => { transaction.oncomplete = done; });
            database.close();
        }""".replace("ACT", act),
        name,
    )
