"""Bytes, compression, encoding."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from governance.ingest.streams import HashedFile, blocks, guess, transcode

TEXT = '{"text": "用户故事：可以搜索商品"}\n' * 3


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "utf-8"),
        (b"{}", "utf-8"),
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("gb18030"), "gb18030"),
        ('{"text": "用"}'.encode("gb18030"), "gb18030"),
        (TEXT.encode("utf-16"), "utf-16-le"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        ('{"text": "café à la crème"}'.encode("latin-1"), "utf-8"),
        (TEXT.encode() + b'{"text": "\xff\xfe"}', "utf-8"),
        (TEXT.encode("gb18030") + b'{"text": "\xff"}', "gb18030"),
        (b'{"text": "' + "中文".encode("gb18030") * 200_000, "gb18030"),
        (b'{"text": "' + "中文".encode() * 200_000, "utf-8"),
        (b'{"text": "a\0b"}', "utf-8"),
    ],
)
def test_guess(data: bytes, name: str) -> None:
    """The encoding is told from the start of a file; damage and a cut in a character do not change it."""
    assert guess(data) == name


@pytest.mark.parametrize("codec", ["gb18030", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_transcoding_does_not_depend_on_the_blocks(codec: str, size: int) -> None:
    """Characters that lie across blocks come out whole, four-byte ones and surrogate pairs too."""
    text = "a用户\U0001f600\u00ff\u0600b"
    data = text.encode(codec)
    name, out = transcode(iter([data[i : i + size] for i in range(0, len(data), size)]), codec, "d")
    parts = list(out)
    assert b"".join(parts).decode() == text
    assert all(parts)
    assert name == codec


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_members_and_frames_are_one_stream(tmp_path: Path, compression: str) -> None:
    """A file of several gzip members or zstd frames, as parallel compressors write, is read to its end."""
    pack = gzip.compress if compression == "gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / "d"
    path.write_bytes(pack(b"one\n" * 50_000) + pack(b"") + pack(b"two\n"))
    with HashedFile(path) as file:
        assert b"".join(blocks(file, "d", compression)) == b"one\n" * 50_000 + b"two\n"
