"""A technician's visit in a real browser: python3 page_browser.py ADDRESS PIN PICTURES_DIR

Drives headless Chromium through chromedriver with nothing but the standard library (W3C WebDriver over HTTP). Prints one
JSON object with what was seen; ends with a message when something is not as it should be.
"""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

PATIENCE_S = 120
SIZES = [(360, 640), (1280, 800)]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element, W3C WebDriver section 12.1


class Browser:
    """One WebDriver session."""

    def __init__(self, chromedriver, chromium, profile):
        self.driver = subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            port = re.search(r"started successfully on port (\d+)", line)
            if port:
                break
        else:
            raise SystemExit("chromedriver does not start")
        self.root = f"http://127.0.0.1:{port.group(1)}/session"
        options = {
            "binary": chromium,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--disable-dev-shm-usage", "--lang=en", f"--user-data-dir={profile}",
            ],
        }
        logs = {"performance": "ALL", "browser": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
        session = self.post("", {"capabilities": {"alwaysMatch": wanted}})
        self.root += "/" + session["sessionId"]

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read().decode()[:500]}") from error

    def post(self, path, body):
        return self.request("POST", path, body)

    def go(self, url):
        self.post("/url", {"url": url})

    def js(self, script):
        return self.post("/execute/sync", {"script": script, "args": []})

    def find(self, css):
        return self.post("/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.post(f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        self.post(f"/element/{self.find(css)}/value", {"text": text})

    def text(self, css):
        return self.js(f"return document.querySelector({json.dumps(css)})?.textContent ?? ''")

    def path(self):
        return self.js("return location.pathname")

    def cdp(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def picture(self, path):
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def log(self, kind):
        return self.post("/se/log", {"type": kind})

    def close(self):
        try:
            self.request("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def check(holds, what):
    if not holds:
        raise SystemExit(f"not as it should be: {what}")


def wait_for(what, condition):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"never: {what}")


def visit(browser, base, pin, pictures):
    seen = {}
    browser.size(*SIZES[0])
    browser.go(base + "/")
    check(browser.path() == "/login", f"the page asks for the PIN, not {browser.path()}")
    wide = []
    for size in SIZES:
        browser.size(*size)
        browser.picture(pictures / f"login-{size[0]}.png")
    browser.type("#pin", "no pin at all")
    browser.click("button.main")
    # The answer to the form is another page, and the click does not wait for it.
    seen["wrong_pin"] = wait_for("a word about the wrong PIN", lambda: browser.text("[role=alert]"))
    check("4" in seen["wrong_pin"], f"the page says how many tries are left: {seen['wrong_pin']!r}")
    browser.type("#pin", pin)
    browser.click("button.main")
    wait_for("the overview after the right PIN", lambda: browser.path() == "/")
    check("footfall_session" not in browser.js("return document.cookie"), "no script can read the session")

    # A crossing arrives on the page that is open: a mark on its window would not survive a reload.
    crossings = "return Number(document.getElementById('in').textContent) + Number(document.getElementById('out').textContent)"
    before = browser.js("window.mark = true; " + crossings)
    after = wait_for("a crossing on the open page", lambda: (now := browser.js(crossings)) > before and now)
    check(browser.js("return window.mark") is True, "the page moves without a reload")
    seen["crossings"] = [before, after]

    for name, path in [("overview", "/"), ("sensors", "/sensors"), ("camera", "/camera/door"), ("cloud", "/cloud"), ("box", "/box")]:
        for lang in ["en", "zh"]:
            browser.go(f"{base}{path}?lang={lang}")
            check(browser.js("return document.documentElement.lang") == lang, f"{path} in {lang}")
            if name == "camera":
                wait_for("the camera's picture", lambda: browser.js("return document.getElementById('picture').naturalWidth > 0"))
            for size in SIZES:
                browser.size(*size)
                if browser.js("return document.documentElement.scrollWidth > window.innerWidth"):
                    wide.append(f"{path} {lang} at {size}")
                browser.picture(pictures / f"{name}-{lang}-{size[0]}.png")
        if name == "camera":
            first = browser.js("return document.getElementById('picture').currentSrc")
            wait_for("the next picture", lambda: browser.js("return document.getElementById('picture').currentSrc") != first)
    check(not wide, f"wider than the screen: {wide}")

    browser.size(*SIZES[0])
    browser.go(base + "/")
    check("今日" in browser.text("nav"), "the choice of Chinese is remembered")
    browser.click("a.language")
    wait_for("the switch to English", lambda: "Today" in browser.text("nav"))

    browser.click("header form button")
    wait_for("the login after logging out", lambda: browser.path() == "/login")
    browser.go(base + "/cloud")
    check(browser.path() == "/login", "nothing is shown after logging out")

    urls = set()
    for entry in browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.add(message["params"]["request"]["url"])
    # The browser's own pages and pictures in the text are no requests.
    urls = {url for url in urls if not url.startswith(("chrome", "data:", "about:"))}
    strangers = [url for url in urls if not url.startswith(base + "/")]
    check(urls and not strangers, f"requests that leave the box: {strangers}")
    seen["requests"] = len(urls)
    # A refused login is logged as such by the browser; everything else would be a fault.
    faults = [entry["message"] for entry in browser.log("browser") if "401" not in entry["message"]]
    check(not faults, f"faults in the browser's log: {faults}")
    return seen


def main():
    base, pin, pictures = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    chromedriver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not (chromedriver and chromium):
        print(json.dumps({"skipped": "no chromium with chromedriver (apt-get install chromium chromium-driver)"}))
        return
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(chromedriver, chromium, profile)
        try:
            print(json.dumps(visit(browser, base, pin, pictures)))
        finally:
            browser.close()


if __name__ == "__main__":
    main()
