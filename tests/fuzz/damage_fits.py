"""Damage to FITS files that knows how they are built: cards, axes, data, order, compression."""

from __future__ import annotations

import gzip
import math
import random
import struct

BLOCK = 2880
NUMBERS = ["0", "-1", "1", "2", "3", "32", "33", "999", "1000000", "2147483647", "2147483648", "4294967296",
           "9223372036854775807", "9223372036854775808", "1" * 60, "-9223372036854775808", "1.5", "1E400", "-1E-300",
           "NaN", "1D3", "T", "F", "(1,2)", "''", "'x'", "", "8", "16", "-32", "-64", "64", "'1'", "0.0",
           "1E30"]  # fmt: skip
TEXTS = ["'" + text for text in ("", "'", "X'", "N" * 200, "WAVE'", "AWAV'", "FREQ'", "VRAD'", "VELO-LSR'", "RA---TAN'",
         "DEC--TAN'", "GLON-CAR'", "RA---SIP'", "RA---TPV'", "RA---ZPX'", "deg'", "arcsec'", "Angstrom'", "um'",
         "m'", "Hz'", "mJy/beam'",
         "erg/s/cm2/A'", "10**9**9'", "1E400 Jy'", "adu'", "1E-17 erg s-1 cm-2 A-1 spaxel-1'", "(((((('",
         "Jy^99999999'", "é'",
         "1PB(99)'", "1QD()'", "999999999D'", "0D'", "16A'", "PA'", "D'", "1PE(2147483647)'", "1X'", "M'",
         "(3,0)'", "(99999,99999)'",
         "RICE_1'", "GZIP_1'", "HCOMPRESS_1'", "NOCOMPRESS'", "FITS'", "2030-01-01'", "IMAGE'", "BINTABLE'",
         "TABLE'", "FOREIGN'", "-TAB'")]  # fmt: skip
KEYS = ["NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM1", "TFORM2",
     "TTYPE1", "TTYPE2", "TUNIT1",
        "TDIM1", "TSCAL1", "TZERO1", "TNULL1", "THEAP", "TBCOL1", "TBCOL2", "BSCALE", "BZERO", "BLANK", "BUNIT",
        "XTENSION", "EXTNAME", "EXTVER", "SIMPLE",
        "CTYPE1", "CTYPE2", "CTYPE3", "CUNIT1", "CUNIT3", "CDELT1", "CDELT2", "CDELT3", "CRVAL1", "CRVAL3",
        "CRPIX1", "CRPIX3", "CD1_1",
        "CD1_2", "CD2_1", "CD2_2", "CD3_3", "PC1_1", "PC1_2", "PV1_1", "PV2_99", "PS3_0", "A_ORDER", "A_2_0",
        "B_ORDER", "AP_ORDER", "WCSAXES", "CROTA2",
        "LONPOLE", "LATPOLE", "RESTFRQ", "RESTWAV", "SPECSYS", "EQUINOX", "RADESYS", "MJD-OBS", "DATE-OBS",
        "BMAJ", "BMIN", "CASAMBM",
        "PIXSCALE", "PIXELSCL", "SECPIX", "WAVELENG", "WAVE0", "WAVELN00", "ECAT", "EDATA", "CATTYPE",
        "CCX0000", "ZIMAGE", "ZBITPIX", "ZNAXIS", "ZNAXIS1",
        "ZTILE1", "ZCMPTYPE", "ZVAL1", "ORIENTAT", "END", "CONTINUE", "HIERARCH", "INSTRUME", "CPDIS1",
        "DP1.NAXES", "D2IMDIS1",
        "HIERARCH ESO DET DIT", "HIERARCH ESO DET NDIT", "HIERARCH ESO DET CHIP NO",
        "HIERARCH ESO DET CHIP GAIN", "HIERARCH ESO DET WIN1 STRX",
        "HIERARCH ESO DET WIN1 NX", "COMMENT", "HISTORY", "INHERIT", "GROUPS", "CHECKSUM", "DATASUM",
        "TELESCOP"]  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a FITS file with one to four kinds of damage, now and then compressed."""
    hdus = split(content)
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
        hdus = _step(hdus, rng)
    data = b"".join(_written(cards, body) for cards, body in hdus)
    roll = rng.random()
    if roll < 0.05:
        data = data[: rng.randrange(len(data) + 1)]
    elif roll < 0.1:
        data = _flipped(data, rng)
    if rng.random() < 0.08:
        data = gzip.compress(data, 1, mtime=0)
        if rng.random() < 0.6:
            data = data[: rng.randrange(len(data))] if rng.random() < 0.5 else _flipped(data, rng)
    return data


def split(content: bytes) -> list[tuple[list[bytes], bytes]]:
    """Return cards without END, and data with padding, of each HDU of a whole file."""
    hdus, at = [], 0
    while at < len(content):
        cards: list[bytes] = []
        while True:
            block = content[at : at + BLOCK]
            at += BLOCK
            cards += [block[n : n + 80] for n in range(0, BLOCK, 80)]
            if b"END".ljust(80) in cards or not block:
                break
        cards = cards[: cards.index(b"END".ljust(80))]
        values = {card[:8].rstrip(): card[10:].split(b"/")[0].strip() for card in cards if card[8:10] == b"= "}
        axes = [int(values[b"NAXIS%d" % n]) for n in range(1, int(values[b"NAXIS"]) + 1)]
        elements = int(values.get(b"PCOUNT", 0)) + math.prod(axes) if axes else 0
        size = abs(int(values[b"BITPIX"])) // 8 * elements
        end = at + size + -size % BLOCK
        hdus.append((cards, content[at:end]))
        at = end
    return hdus


def _written(cards: list[bytes], body: bytes) -> bytes:
    head = b"".join([*cards, b"END".ljust(80)])
    return head + b" " * (-len(head) % BLOCK) + body


def card(key: str, value: str) -> bytes:
    """Return a card, HIERARCH for a long key."""
    text = f"{key} = {value}" if len(key) > 8 else f"{key:<8}= {value}"
    return text.encode("latin-1")[:80].ljust(80)


def _step(hdus: list[tuple[list[bytes], bytes]], rng: random.Random) -> list[tuple[list[bytes], bytes]]:
    hdus = list(hdus)
    if not hdus:
        return hdus
    place = rng.randrange(len(hdus))
    cards, body = list(hdus[place][0]), hdus[place][1]
    roll = rng.random()
    if roll < 0.5:
        if cards and rng.random() < 0.7:  # a value of a card that is there
            at = rng.randrange(len(cards))
            if rng.random() < 0.25:  # one that says how the data lie
                structural = [
                    n for n, c in enumerate(cards) if c[:5] in (b"NAXIS", b"TFORM", b"BITPI", b"PCOUN", b"TFIEL")
                ]
                at = rng.choice(structural or [at])
            key = cards[at].partition(b"=")[0].strip().decode("latin-1")
            cards[at] = card(key, rng.choice(NUMBERS if rng.random() < 0.7 else TEXTS))
        else:
            new = card(rng.choice(KEYS), rng.choice(NUMBERS if rng.random() < 0.5 else TEXTS))
            cards.insert(rng.randrange(len(cards) + 1) if rng.random() < 0.3 else len(cards), new)
    elif roll < 0.58 and cards:
        del cards[rng.randrange(len(cards))]
    elif roll < 0.63 and cards:
        at = rng.randrange(len(cards))
        cards[at] = _flipped(cards[at], rng)[:80].ljust(80)
    elif roll < 0.66:
        cards = cards * rng.choice([2, 3, 40])
    elif roll < 0.82:
        body = _data(body, rng)
    elif roll < 0.88:
        del hdus[place]
        return hdus
    elif roll < 0.94:
        hdus.insert(rng.randrange(len(hdus) + 1), hdus[place])
        return hdus
    else:
        rng.shuffle(hdus)
        return hdus
    hdus[place] = cards, body
    return hdus


def _data(body: bytes, rng: random.Random) -> bytes:
    """Return data with bytes flipped, numbers that are not finite or too large, or of another length."""
    roll = rng.random()
    if roll < 0.3 or not body:
        return _flipped(body, rng) if body else bytes(BLOCK)
    if roll < 0.6:
        value = rng.choice([math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45, 0.0, -1.0])
        word = struct.pack(">f", value) if rng.random() < 0.6 else struct.pack(">d", value)
        if rng.random() < 0.4:
            return (word * (len(body) // len(word) + 1))[: len(body)]
        at = rng.randrange(0, len(body), len(word))
        return body[:at] + word + body[at + len(word) :]
    if roll < 0.75:
        return body[: rng.randrange(len(body))]
    if roll < 0.85:
        return bytes(len(body))
    return body + body[: rng.choice([1, 80, BLOCK])]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        if out:
            at = rng.randrange(len(out))
            out[at] = rng.choice([0, 255, 32, 49, out[at] ^ (1 << rng.randrange(8)), rng.randrange(256)])
    return bytes(out)
