"""Find out how a text file is encoded, from all of its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.sources.base import readable

_BLOCK = 1024 * 1024
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What Excel and scraped pages on Windows, and old Macs, write. Others are named with --encoding.
_GUESSES = ["cp1252", "mac_roman"]
_TYPOGRAPHIC = frozenset("‘’“”–—…•™®©€£")
_COMMON = frozenset("áàâäãåçéèêëíìîïñóòôöõúùûüßøæÉÅÖÜ°½¼¾²\xa0")
_SAMPLE_BYTES = 64 * 1024
_AROUND = 60
_BAD = re.compile("[\udc80-\udcff]")
_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "mac_roman": "Mac Roman",
}
_HOW_TO = "Name the encoding with --encoding, for example --encoding cp1252."


@dataclass(frozen=True)
class Encoding:
    """A codec, how it was found, and how the decoder treats bytes that it has no letter for.

    A file that is UTF-8 but for some damaged bytes is read with ``surrogateescape``, so that the
    check of each value can name the row and column of the damage.
    """

    codec: str
    detected: bool = False
    errors: str = "strict"

    @property
    def name(self) -> str:
        """The name for people."""
        return _NAMES.get(self.codec, self.codec)


def find_encoding(path: Path, given: str | None = None) -> Encoding:
    """The encoding of the whole file: ``given``, its byte-order mark, or what its bytes show.

    Raises InputError when the file does not have the given encoding, or when no encoding fits.
    """
    with readable(path), path.open("rb") as file:
        start = file.read(4096)
    marked = next((codec for mark, codec in _MARKS if start.startswith(mark)), None)
    if given is not None:
        return _given(path, given, marked)
    if marked is not None and marked != "utf-8-sig":
        _require(path, marked)
        return Encoding(marked)
    wide = _wide(start)
    if wide is not None:
        _require(path, wide)
        return Encoding(wide, detected=True)
    if 8 * start.count(0) > len(start):
        raise InputError(f"The file {path}", "is binary, or text of an unknown encoding", _HOW_TO)
    return _by_bytes(path, "utf-8-sig" if marked else "utf-8")


def decode(data: bytes, where: str, given: str | None = None) -> tuple[str, Encoding]:
    """The text of a whole small file and its encoding, found as ``find_encoding`` finds it."""
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), None)
    codec = given or marked or "utf-8"
    try:
        return data.decode(codec), Encoding(codec)
    except LookupError:
        raise _unknown(codec) from None
    except UnicodeDecodeError as error:
        if given is not None or marked is not None:
            raise _not_encoded(f"The file {where}", codec, error.start) from error
    best = _guess(data[:_SAMPLE_BYTES])
    try:
        if best is not None:
            return data.decode(best), Encoding(best, detected=True)
    except UnicodeDecodeError:
        pass
    raise InputError(f"The file {where}", "is text of an unknown encoding", _HOW_TO)


def _given(path: Path, codec: str, marked: str | None) -> Encoding:
    try:
        plain = codecs.lookup(codec).name
    except LookupError:
        raise _unknown(codec) from None
    if plain == "utf-8":
        plain = "utf-8-sig"
    elif marked is not None and marked.startswith(plain[:6]):
        plain = marked
    _require(path, plain)
    return Encoding(plain)


def _require(path: Path, codec: str) -> None:
    """Raise InputError unless the whole file can be decoded."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    done = 0
    try:
        for block in _blocks(path):
            decoder.decode(block)
            done += len(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_encoded(f"The file {path}", codec, done + error.start) from error


def _by_bytes(path: Path, codec: str) -> Encoding:
    """UTF-8 if that is what the file is; otherwise what its other bytes look like."""
    decoder = codecs.getincrementaldecoder(codec)("surrogateescape")
    n_bad = n_good = 0
    sample = b""
    for block in _blocks(path):
        if block.isascii():
            text = decoder.decode(block)
            bad = len(_BAD.findall(text)) if not text.isascii() else 0
        else:
            text = decoder.decode(block)
            bad = len(_BAD.findall(text))
            n_good += sum(1 for letter in re.findall(r"[^\x00-\x7f]", text)) - bad
            if bad and len(sample) < _SAMPLE_BYTES:
                sample += _around_bad(text)
        n_bad += bad
    n_bad += len(_BAD.findall(decoder.decode(b"", final=True)))
    if n_bad == 0:
        return Encoding(codec)
    # Letters of several bytes happen by chance in no other encoding of English.
    best = _guess(sample) if n_good < n_bad else None
    if best is not None:
        try:
            _require(path, best)
            return Encoding(best, detected=True)
        except InputError:
            pass
    return Encoding(codec, errors="surrogateescape")


def _guess(sample: bytes) -> str | None:
    """The encoding that makes most of the other bytes marks and letters that English texts have.

    Where two do equally well, charset-normalizer decides. Alone it takes the apostrophe of a short
    text for a letter.
    """
    from charset_normalizer import from_bytes

    scores = {codec: _score(sample, codec) for codec in _GUESSES}
    best = max(scores.values())
    fitting = [codec for codec, score in scores.items() if score == best]
    if len(fitting) == 1:
        return fitting[0]
    found = from_bytes(sample, cp_isolation=fitting).best()
    return found.encoding if found is not None else None


def _score(sample: bytes, codec: str) -> int:
    """Two for each typographic mark, one for each common letter, less one for anything else."""
    letters = re.findall(r"[^\x00-\x7f]", sample.decode(codec, "replace"))
    return sum(2 if c in _TYPOGRAPHIC else 1 if c in _COMMON else -1 for c in letters)


def _around_bad(text: str) -> bytes:
    """The bytes around each letter that is not UTF-8; only those distinguish encodings."""
    parts = []
    last = 0
    for match in _BAD.finditer(text):
        if match.start() < last:
            continue
        last = match.end() + _AROUND
        parts.append(text[max(0, match.start() - _AROUND) : last])
        if sum(map(len, parts)) > _SAMPLE_BYTES:
            break
    return " ".join(parts).encode("utf-8", "surrogateescape")


def _wide(start: bytes) -> str | None:
    """UTF-16 without a mark: English text has a NUL in every other byte."""
    half = len(start) // 2
    if half and start[1::2].count(0) > 0.6 * half:
        return "utf-16-le"
    if half and start[0::2].count(0) > 0.6 * half:
        return "utf-16-be"
    return None


def _blocks(path: Path) -> Iterator[bytes]:
    with readable(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _unknown(codec: str) -> InputError:
    return InputError(
        f"The encoding {codec}", "is not known", "Use for example utf-8, cp1252 or utf-16."
    )


def _not_encoded(where: str, codec: str, place: int) -> InputError:
    name = _NAMES.get(codec, codec)
    return InputError(where, f"is not {name} text: byte {place:,} does not fit", _HOW_TO)
