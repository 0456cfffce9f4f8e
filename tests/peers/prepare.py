"""Lays out the passes of passes.json, each in a folder of its own with its order and images: prepare.py FOLDER"""
import json
import struct
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent
IDENTITY = {
    "passTypeIdentifier": "pass.com.example.peers",
    "teamIdentifier": "TEAM123456",
    "organizationName": "Peers",
    "webServiceURL": "https://passes.example.com",
    "authenticationToken": "0123456789abcdef0123456789abcdef",
}
# In points, as wide and high as Wallet draws them.
SIZES = {"icon": (38, 38), "logo": (160, 50), "strip": (375, 123), "thumbnail": (90, 90), "background": (180, 220), "footer": (286, 15)}


def size_of(name):
    slot, _, scale = name.partition("@")
    factor = int(scale[0]) if scale else 1
    return SIZES[slot][0] * factor, SIZES[slot][1] * factor


def pixels_of(name):
    """Rows of red, green and blue, which differ from image to image."""
    width, height = size_of(name)
    seed = zlib.crc32(name.encode())
    return [bytes((x * 3 + seed + channel * 40 + y) % 256 for x in range(width) for channel in range(3)) for y in range(height)]


def png_of(name):
    width, height = size_of(name)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row for row in pixels_of(name))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def passes():
    return json.loads((HERE / "passes.json").read_text(encoding="utf-8"))


def main(folder):
    for number, given in enumerate(passes(), start=1):
        place = folder / given["name"]
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        order = {**IDENTITY, "serialNumber": f"PEER-{number}", "voided": False, **given}
        (place / "order.json").write_text(json.dumps(order, ensure_ascii=False), encoding="utf-8")
        for name in given["images"]:
            (place / f"{name}.png").write_bytes(png_of(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
