"""Draws the sample digits for `shadegrad predict`: strokes of a round pen, as PNG. Needs Python alone.

    python3 assets/digits/draw.py

A digit is a list of strokes; a stroke is a list of points that a smooth curve goes through, in a box one wide and one
and a half high. A point that is written twice is a corner.
"""
import math
import os
import random
import struct
import zlib

#  name, width, height, paper, ink, pen, slant, place (centre x, centre y, height of the digit), strokes
DIGITS = [
    ("zero", 160, 160, 20, 235, 11, 0.05, (80, 80, 104), [
        [(.55, 0), (.18, .22), (.05, .8), (.25, 1.38), (.55, 1.48), (.88, 1.2), (.95, .65), (.82, .15), (.5, 0)]]),
    ("one", 120, 180, 245, 30, 9, 0.08, (62, 92, 120), [
        [(.4, .22), (.6, 0), (.6, 0), (.57, .75), (.55, 1.5)]]),
    ("two", 240, 240, 250, 20, 15, 0.1, (118, 122, 150), [
        [(.08, .4), (.2, .08), (.55, 0), (.88, .25), (.8, .65), (.4, 1.1), (.02, 1.48), (.02, 1.48), (.5, 1.45), (1, 1.46)]]),
    ("three", 200, 260, 15, 245, 16, 0.0, (100, 130, 170), [
        [(.08, .2), (.4, 0), (.8, .1), (.85, .42), (.45, .68), (.45, .68), (.88, .85), (.95, 1.2), (.6, 1.48), (.05, 1.32)]]),
    ("four", 220, 200, 232, 60, 12, 0.06, (110, 98, 130), [
        [(.3, .02), (.18, .5), (.06, .88), (.06, .88), (.5, .88), (1, .84)],
        [(.75, .3), (.74, .9), (.72, 1.5)]]),
    ("five", 400, 300, 252, 40, 20, 0.05, (190, 150, 190), [
        [(.9, .02), (.5, .03), (.2, .05), (.2, .05), (.16, .35), (.13, .62), (.13, .62), (.5, .55), (.88, .75), (.9, 1.15),
         (.55, 1.46), (.08, 1.38)]]),
    ("seven", 200, 240, 248, 25, 14, 0.04, (102, 118, 150), [
        [(.04, .08), (.5, .05), (.96, .02), (.96, .02), (.7, .55), (.48, 1.0), (.36, 1.5)]]),
    ("eight", 64, 80, 0, 255, 5, 0.0, (32, 40, 54), [
        [(.82, .22), (.5, 0), (.18, .18), (.28, .5), (.65, .78), (.88, 1.15), (.5, 1.48), (.12, 1.2), (.35, .8), (.72, .5),
         (.82, .22)]]),
]


def curve(points, steps=24):
    """A Catmull-Rom spline through the points; it is broken where a point stands twice."""
    parts, part = [], [points[0]]
    for before, point in zip(points, points[1:]):
        if point == before:
            parts.append(part)
            part = []
        part.append(point)
    parts.append(part)
    for part in parts:
        ends = [part[0], *part, part[-1]]
        for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:]):
            for step in range(steps + 1):
                t = step / steps
                yield tuple(
                    .5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t ** 3)
                    for p, q, r, s in zip(a, b, c, d))


def picture(width, height, paper, ink, pen, slant, place, strokes):
    """Rows of grey bytes. The paper has a little noise, and light falls on it from the left."""
    x0, y0, size = place
    scale = size / 1.5
    cover = [[0.0] * width for _ in range(height)]
    for stroke in strokes:
        for x, y in curve(stroke):
            px = x0 + (x - .5 - slant * (y - .75)) * scale
            py = y0 + (y - .75) * scale
            reach = int(pen / 2 + 2)
            for row in range(max(0, int(py) - reach), min(height, int(py) + reach + 1)):
                for column in range(max(0, int(px) - reach), min(width, int(px) + reach + 1)):
                    distance = math.hypot(column + .5 - px, row + .5 - py)
                    cover[row][column] = max(cover[row][column], min(1.0, max(0.0, pen / 2 + .5 - distance)))
    noise = random.Random(width * height)
    rows = []
    for line in cover:
        row = bytearray()
        for column, share in enumerate(line):
            ground = paper + (4 - 8 * column / width) + noise.gauss(0, 1.5)
            row.append(max(0, min(255, round(ground + (ink - ground) * share))))
        rows.append(bytes(row))
    return rows


def write_png(path, rows):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


for name, *how in DIGITS:
    write_png(os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".png"), picture(*how))
