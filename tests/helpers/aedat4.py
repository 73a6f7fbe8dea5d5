"""Write an AEDAT4 file: a header and packets of events, as flatbuffers laid out by hand.

Layout as in the format's public description (docs of iniVation's dv-processing, "AEDAT4"): the
line `#!AER-DAT4.0`, a size-prefixed `IOHE` table with an XML text that names the streams, then
packets of (stream, length, size-prefixed `EVTS` table).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

STREAM = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/">
<attr key="compression" type="string">NONE</attr>
<attr key="originalModuleName" type="string">capture</attr>
<attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
<attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/">
<attr key="sizeX" type="int">{}</attr><attr key="sizeY" type="int">{}</attr>
<attr key="source" type="string">test</attr></node></node></node></dv>"""
EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "on"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)


def write_aedat4(path: Path, t, x, y, on, size: tuple[int, int], packets: int = 2) -> None:
    """Write events, cut into packets."""
    events = np.zeros(len(t), EVENT)
    for name, column in {"t": t, "x": x, "y": y, "on": on}.items():
        events[name] = column
    content = b"#!AER-DAT4.0\r\n" + _header(STREAM.format(*size).replace("\n", ""))
    for piece in np.array_split(events, packets):
        table = _events(piece)
        content += struct.pack("<II", 0, len(table)) + table
    path.write_bytes(content)


def _prefix(buffer: bytes) -> bytes:
    return struct.pack("<I", len(buffer)) + buffer


def _header(text: str) -> bytes:
    raw = text.encode() + b"\0"
    raw += bytes(-len(raw) % 4)
    vtable = struct.pack("<5H", 10, 12, 4, 0, 8) + bytes(2)
    table = struct.pack("<iiI", 12, 0, 4)
    return _prefix(
        struct.pack("<I4s", 20, b"IOHE") + vtable + table + struct.pack("<I", len(text)) + raw
    )


def _events(events: np.ndarray) -> bytes:
    vtable = struct.pack("<3H", 6, 8, 4) + bytes(2)
    table = struct.pack("<iI", 8, 4)
    start = struct.pack("<I4s", 16, b"EVTS") + vtable + table
    return _prefix(start + struct.pack("<I", len(events)) + events.tobytes())
