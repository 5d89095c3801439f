# SPDX-License-Identifier: LGPL-2.1-or-later
"""Headless Chromium, driven by chromedriver over WebDriver's HTTP with the standard library alone."""
import functools
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
         "--allow-loopback-in-peer-connection", "--disable-background-networking", "--disable-component-update",
         "--disable-features=WebRtcHideLocalIpsWithMdns"]


class _Page(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="edgewire-chromium-")
        self.session = None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Page, directory=str(HERE)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        self.log = open(os.path.join(self.folder, "driver.log"), "w+")
        self.driver = subprocess.Popen([DRIVER, "--port=0", "--allowed-ips=127.0.0.1"], stdout=self.log, stderr=subprocess.STDOUT,
                                       env={**os.environ, "HOME": self.folder}, start_new_session=True)
        self.url = f"http://127.0.0.1:{self._port()}"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={self.folder}/profile"]}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}})
        self.session = answer["sessionId"]
        self.version = answer["capabilities"]["browserVersion"]
        self._call("POST", f"/session/{self.session}/timeouts", {"script": 30000})
        self._call("POST", f"/session/{self.session}/url", {"url": f"http://127.0.0.1:{self.server.server_address[1]}/page.html"})

    def _port(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.driver.poll() is None:
            self.log.seek(0)
            for line in self.log:
                if "started successfully on port" in line:
                    return int(line.rsplit(" ", 1)[1].strip().rstrip("."))
            time.sleep(0.05)
        self.log.seek(0)
        raise AssertionError("chromedriver does not start:\n" + self.log.read()[-2000:])

    def _call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as r:
                return json.load(r)["value"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"WebDriver {path}: {e.read().decode()[:1500]}") from None

    def do(self, function, *arguments):
        """Calls a function of the page and gives what its promise does."""
        script = (f"const done = arguments[arguments.length - 1]; {function}(...Array.from(arguments).slice(0, -1))"
                  ".then(v => done({value: v}), e => done({error: String(e)}));")
        answer = self._call("POST", f"/session/{self.session}/execute/async", {"script": script, "args": list(arguments)})
        if "error" in answer:
            raise AssertionError(f"{function} in the browser: {answer['error']}")
        return answer.get("value")

    def close(self):
        if self.session:
            try:
                self._call("DELETE", f"/session/{self.session}")
            except (AssertionError, OSError):
                pass
        driver = getattr(self, "driver", None)
        if driver is not None:
            try:
                os.killpg(driver.pid, signal.SIGTERM)  # a group of its own: chromedriver and its browser
                driver.wait(10)
            except ProcessLookupError:
                pass
            except subprocess.TimeoutExpired:
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
            self.log.close()
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)
