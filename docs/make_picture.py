"""Write report.png, the picture of a report in the README.

python docs/make_picture.py [FILE]

It trains the network of examples/snntorch_digits.py, compiles it for loihi2 and photographs the
beginning of its report in Chromium, which is found by its path or by SNNCOMPILE_CHROMIUM.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tests" / "helpers")]

import snntorch_digits
from browser import Browser, find_browser
from digits import LABEL, TEST, X, train
from PIL import Image

import snncompile

WIDTH, HEIGHT = 1000, 1360


def main() -> None:
    """Make the report and its picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "report.png"
    browser = find_browser()
    if browser is None:
        raise SystemExit("needs Chromium: apt-get install chromium, or SNNCOMPILE_CHROMIUM=PATH")
    module = train(snntorch_digits.model(), snntorch_digits.answer)
    network = snncompile.from_torch(module, X[:16], title="digits")
    program = snncompile.compile(network, chip="loihi2", calibration=X[:128])
    report = program.report(X[-TEST:], LABEL[-TEST:], samples=None, seconds=0)
    with tempfile.TemporaryDirectory() as folder:
        report.write(Path(folder, "report.html"))
        with Browser(browser) as page:
            page.resize(WIDTH, HEIGHT)
            page.open(Path(folder, "report.html"), "document.body.dataset.ready === '1'")
            page.screenshot(Path(folder, "report.png"))
        picture = Image.open(io.BytesIO(Path(folder, "report.png").read_bytes()))
        picture.convert("RGB").save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
