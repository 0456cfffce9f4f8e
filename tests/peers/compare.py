"""Compares the passes of prepare.py as Honoken built them with those of passkit-generator, and with what KDE's reader makes of ours:
    compare.py FOLDER READ_PASS PAGE
Every difference has to be explained by a row of the table in PAGE (docs/peers.md), and every row has to explain one."""
import fnmatch
import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import prepare

ABSENT = object()
GROUPS = ["headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields"]
STYLES = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"]


def leaves(value, pointer=""):
    """Every value that is no object and no list, by its pointer; empty ones are leaves too."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {}
    for key, child in children:
        found.update(leaves(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"))
    return found or {pointer: value}


def differences(theirs, ours):
    theirs, ours = leaves(theirs), leaves(ours)
    for pointer in sorted(theirs.keys() | ours.keys()):
        pair = theirs.get(pointer, ABSENT), ours.get(pointer, ABSENT)
        # True is 1 in Python, and not in JSON; 7 and 7.0 are one number in both.
        if pair[0] != pair[1] or isinstance(pair[0], bool) != isinstance(pair[1], bool):
            yield pointer, *pair


def moment(value):
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return None


class Row:
    """An explained difference: | peer | passes | place | theirs | ours | why |"""

    def __init__(self, cells):
        self.peer, self.passes, self.place, self.theirs, self.ours, self.why = cells
        self.uses = 0

    def explains(self, peer, name, place, theirs, ours):
        same = moment(theirs) is not None and moment(theirs) == moment(ours)
        is_number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = lambda cell, value: cell == "any" or cell == "same moment" and same or cell == "number" and is_number(value) or (
            value is ABSENT if cell == "absent" else cell.startswith("`") and json.loads(cell.strip("`")) == value)
        found = (self.peer == peer and fnmatch.fnmatchcase(name, self.passes) and fnmatch.fnmatchcase(place, self.place)
                 and fits(self.theirs, theirs) and fits(self.ours, ours))
        self.uses += found
        return found


def rows_of(page):
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(("| passkit", "| KDE"))]
    return [Row([cell.strip().strip("`") if index == 2 else cell.strip() for index, cell in enumerate(line.strip("|").split(" | "))]) for line in lines]


def unzipped(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def beside_passkit_generator(folder):
    theirs, ours = unzipped(folder / "theirs.pkpass"), unzipped(folder / "ours.pkpass")
    for place, one, other in differences({name: True for name in theirs}, {name: True for name in ours}):
        yield f"files{place}", one, other
    for document in ["pass.json", "manifest.json"]:
        for place, one, other in differences(json.loads(theirs[document]), json.loads(ours[document])):
            yield f"{document}{place}", one, other
    for files in (theirs, ours):
        listed = json.loads(files["manifest.json"])
        for name, digest in listed.items():
            assert hashlib.sha1(files[name]).hexdigest() == digest, f"{folder.name}: the digest of {name} is wrong"


def color(text):
    if text is None:
        return None
    if text.startswith("#"):
        return text
    return "#%02x%02x%02x" % tuple(int(part) for part in text[4:-1].split(","))


def in_utc(text):
    return moment(text).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if text else None


def expected_of(order):
    """What a reader should make of a pass, from what was ordered."""
    content = order["content"]
    style = next(style for style in STYLES if style in content)
    dates = content.get("relevantDates", [{}])
    expected = {
        "style": style, "voided": order["voided"], "expirationDate": in_utc(content.get("expirationDate")),
        "relevantDate": in_utc(dates[0].get("date")), "maxDistance": content.get("maxDistance", 0),
        "passTypeIdentifier": order["passTypeIdentifier"], "serialNumber": order["serialNumber"],
        "authenticationToken": order["authenticationToken"], "webServiceURL": order["webServiceURL"],
        "barcodes": [{"altText": "", **code} for code in content.get("barcodes", [])],
        "locations": [{"relevantText": "", **{key: value for key, value in place.items() if key != "altitude"}} for place in content.get("locations", [])],
    }
    for key in ["description", "organizationName", "logoText", "groupingIdentifier"]:
        expected[key] = content.get(key, "")
    for key in ["backgroundColor", "foregroundColor", "labelColor"]:
        expected[key] = color(content.get(key))
    for group in GROUPS:
        fields = content[style].get(group, [])
        expected[group] = [{"key": field["key"], "label": field.get("label", ""), "value": field["value"], "changeMessage": field.get("changeMessage", "")} for field in fields]
    expected["images"] = {}
    for slot in prepare.SIZES:
        for scale in (1, 2, 3):
            # A reader takes the image of the scale that is asked for, or the best of the smaller ones.
            names = [slot + (f"@{smaller}x" if smaller > 1 else "") for smaller in range(scale, 0, -1)]
            name = next((name for name in names if name in order["images"]), None)
            if name:
                width, height = prepare.size_of(name)
                pixels = hashlib.sha1(b"".join(prepare.pixels_of(name))).hexdigest()
                expected["images"][f"{slot} for {scale}x"] = {"width": width, "height": height, "pixels": pixels}
    return expected


def beside_kde(folder, read_pass):
    read = subprocess.run([read_pass, folder / "ours.pkpass"], check=True, capture_output=True, text=True)
    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    yield from differences(json.loads(read.stdout), expected_of(order))


def main(folder, read_pass, page):
    rows, unexplained, compared = rows_of(page), [], 0
    for given in prepare.passes():
        place = folder / given["name"]
        for peer, found in (("passkit-generator", beside_passkit_generator(place)), ("KDE", beside_kde(place, read_pass))):
            compared += 1
            for where, theirs, ours in found:
                where = where.removeprefix("/") if peer == "KDE" else where
                if not any([row.explains(peer, given["name"], where, theirs, ours) for row in rows]):
                    shown = ["absent" if value is ABSENT else json.dumps(value, ensure_ascii=False) for value in (theirs, ours)]
                    unexplained.append(f"{peer}, {given['name']}: {where} is {shown[0]} there and {shown[1]} here")
    unused = [f"{row.peer}, {row.passes}: {row.place} is explained, and does not differ" for row in rows if not row.uses]
    for line in unexplained + unused:
        print(line, file=sys.stderr)
    if unexplained or unused:
        sys.exit(f"scripts/peers: {len(unexplained)} differences are not explained in {page}, {len(unused)} explanations are of nothing")
    print(f"scripts/peers: {compared} comparisons of {len(prepare.passes())} passes; {sum(row.uses for row in rows)} differences, all explained in {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), Path(sys.argv[3]))
