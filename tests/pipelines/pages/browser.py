"""A real browser, without a window, and what it finds on a page at the width of a phone or of a desk."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no browser installed: apt-get install chromium")
LIGHT, DARK = 1, 0  # Chromium's numbers of the schemes that a reader may prefer
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(folder: Path, page: Path, *flags: str) -> subprocess.CompletedProcess:
    """Opens a page, with a profile of its own in a folder."""
    command = [BROWSER, *_QUIET, f"--user-data-dir={folder / 'profile'}", *flags, page.resolve().as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    return shown


def measured(folder: Path, page: str, script: str, *, width: int, height: int = 844, scheme: int = LIGHT) -> dict:
    """Returns what a script finds on a page in a frame of some size; its `page` is the document, its `view` the window.

    The policy of the page, by which no script runs in it, is left out for that.
    """
    framed = html.escape(_POLICY.sub("", page))
    harness = folder / "harness.html"
    harness.write_text(
        f'<!doctype html><iframe id="f" style="width:{width}px;height:{height}px;border:0" srcdoc="{framed}"></iframe>'
        '<pre id="found"></pre><script>onload = () => { const view = document.getElementById("f").contentWindow;'
        f"const page = view.document; const found = (() => {{ {script} }})();"
        'document.getElementById("found").textContent = JSON.stringify(found); }</script>'
    )
    flags = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1600,1200", "--dump-dom")
    dumped = browse(folder, harness, *flags).stdout
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', dumped, re.S)[1]))
