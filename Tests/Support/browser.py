"""Looks at a page in a real browser: headless Chromium, on a wide screen, on a phone in the dark, and on paper.

    browser.py FILE.html FOLDER     puts screenshots and a PDF into the folder; prints as JSON what was seen

What stands where is measured in the page itself; that it is drawn is read off the screenshots.
"""
import json
import os
import re
import subprocess
import sys

from PIL import Image

page, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
parts = ["#verdict", ".bar", ".badge", ".facts", ".card", ".stages", ".stages .import", ".stages .verify", ".key", ".plot", ".plot .curve",
         ".findings", "table.history", "footer"]
measure = """<script>
function seen(selector) {
  return [...document.querySelectorAll(selector)].map(e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e);
    return {x: r.x, y: r.y + scrollY, width: r.width, height: r.height, text: e.textContent.trim().slice(0, 300),
            color: s.color, back: s.backgroundColor, stroke: s.stroke}; });
}
const parts = %s, found = {};
for (const part of parts) found[part] = seen(part);
const wide = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length;
const height = document.documentElement.scrollHeight, back = getComputedStyle(document.body).backgroundColor;
document.body.innerHTML = "<pre id='measured'></pre>";
document.getElementById("measured").textContent = "MEASURED" + JSON.stringify({parts: found, wide, height, width: innerWidth, back}) + "MEASURED";
</script>""" % json.dumps(parts)


def chromium(*arguments):
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
               f"--user-data-dir={folder}/profile", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def numbers(color):
    return tuple(int(float(n)) for n in re.findall(r"[\d.]+", color)[:3])


def near(a, b):
    return all(abs(x - y) < 40 for x, y in zip(a, b))


def share(image, box, color):
    """The share of a box's pixels that have a colour."""
    x, y, w, h = (int(box[k]) for k in ("x", "y", "width", "height"))
    pixels = image.crop((max(0, x), max(0, y), x + max(w, 1), y + max(h, 1))).get_flattened_data()
    return sum(near(p, color) for p in pixels) / max(1, len(pixels))


measured_page = f"{folder}/measured.html"
html = open(page, encoding="utf-8").read()
open(measured_page, "w", encoding="utf-8").write(html.replace("</body>", measure + "</body>"))
result = {}
for name, width, scheme in (("wide", 1280, 1), ("phone", 520, 0)):
    options = (f"--blink-settings=preferredColorScheme={scheme}",)
    dom = chromium(*options, f"--window-size={width},1000", "--dump-dom", f"file://{measured_page}")
    found = re.search(r"MEASURED(.*)MEASURED", dom.stdout, re.S)
    if not found:
        sys.exit(f"the page was not measured: {dom.stdout[-500:]} {dom.stderr[-500:]}")
    seen = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    shot = f"{folder}/{name}.png"
    chromium(*options, f"--window-size={seen['width']},{seen['height'] + 40}", f"--screenshot={shot}", f"file://{page}")
    image = Image.open(shot).convert("RGB")
    drawn = {}
    for part, color in (("#verdict", "color"), (".bar", "back"), (".badge", "color"), (".stages .import", "back"), (".stages .verify", "back"),
                        (".plot .curve", "stroke")):
        boxes = seen["parts"][part]
        if boxes:
            box = dict(boxes[0])
            box["y"], box["height"] = box["y"] - 2, box["height"] + 4  # lines have no height
            drawn[part] = share(image, box, numbers(boxes[0][color]))
    result[name] = {"parts": {k: [b["text"] for b in v] for k, v in seen["parts"].items()}, "wide": seen["wide"], "width": seen["width"], "drawn": drawn,
                    "back": numbers(seen["back"]), "corner": image.getpixel((2, 2)), "size": image.size}
chromium(f"--print-to-pdf={folder}/page.pdf", f"file://{page}")
pdf = open(f"{folder}/page.pdf", "rb").read()
result["paper"] = {"bytes": len(pdf), "isPDF": pdf.startswith(b"%PDF-"), "pages": len(re.findall(rb"/Type\s*/Page\b", pdf))}
print(json.dumps(result))
