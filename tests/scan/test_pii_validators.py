"""Validators of personal data: check digits, ranges, dates, and contexts in which a number means something else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.scan import pii_validators as p
from governance.scan.registry import Validator
from governance.templates import cn_id_character, fill, luhn_digit


def judge(validator: Validator, value: str, before: str = "", after: str = "") -> bool:
    text = before + value + after
    return validator(value, text, len(before), len(before) + len(value))


@given(st.integers(0, 999), st.integers(0, 16), st.integers(1, 9))
def test_resident_id_finds_every_wrong_digit(serial: int, place: int, step: int) -> None:
    """
    Every change of one digit of a resident id makes its check character wrong (ISO 7064 MOD 11-2).
    """
    body = f"11010519900307{serial:03d}"
    good = body + cn_id_character(body)
    assert judge(p.cn_resident_id, good)
    changed = str((int(good[place]) + step) % 10)
    assert not judge(p.cn_resident_id, good[:place] + changed + good[place + 1 :])


def test_resident_id_structure() -> None:
    """
    A resident id has a province, a date that exists, and stands alone; a lower-case x counts.
    """

    def made(body: str) -> str:
        return body + cn_id_character(body)

    assert judge(p.cn_resident_id, "11010519491231002x")
    assert judge(p.cn_resident_id, made("44030720000229123"), "身份证", "，")
    assert not judge(p.cn_resident_id, made("44030719000229123"))  # 1900 was no leap year
    assert not judge(p.cn_resident_id, made("99010519900307123"))
    assert not judge(p.cn_resident_id, made("44030720000229123"), "1")
    assert not judge(p.cn_resident_id, made("44030720000229123"), "", "7")


@given(st.integers(0, 10**14 - 1), st.integers(0, 15), st.integers(1, 9))
def test_card_finds_every_wrong_digit(number: int, place: int, step: int) -> None:
    """
    Every change of one digit of a card number fails the Luhn check (ISO/IEC 7812-1).
    """
    body = f"4{number:014d}"
    good = body + luhn_digit(body)
    assert judge(p.bank_card, good) is not good.endswith("00000000")
    changed = str((int(good[place]) + step) % 10)
    assert not judge(p.bank_card, good[:place] + changed + good[place + 1 :])


def test_card_ranges() -> None:
    """
    A card has an issuer's range and that range's length, and is no constant of a computation.
    """
    kept = ["622202{digits*12}{luhn*1}", "4{digits*14}{luhn*1}", "37{digits*12}{luhn*1}", "5105 1051 0510 5100"]
    assert all(judge(p.bank_card, fill(t, "card")) for t in kept)
    dropped = ["1{digits*14}{luhn*1}", "9{digits*14}{luhn*1}", "37{digits*13}{luhn*1}", "51{digits*15}{luhn*1}"]
    assert not any(judge(p.bank_card, fill(t, "card")) for t in dropped)
    visa = fill("4{digits*14}{luhn*1}", "card")
    assert not judge(p.bank_card, visa, "rng = seed(", ")")
    assert judge(p.bank_card, visa, "card = ", "\n")
    assert not judge(p.bank_card, visa, "0.")


def test_iban() -> None:
    """
    An IBAN has its country's length and the remainder 1 modulo 97 (ISO 13616-1).
    """
    assert judge(p.iban, "GB82WEST12345698765432")
    assert judge(p.iban, fill("{iban*18}", "iban"))
    assert not judge(p.iban, "GB82WEST12345698765423")
    assert not judge(p.iban, "GB82WEST1234569876543")
    assert not judge(p.iban, "XX82WEST12345698765432")


def test_mobile() -> None:
    """
    A mobile number stands alone in an operator's range; longer digit runs, decimals and constants are none.
    """
    for before, after in (("", ""), ("电话", "转"), ('"', '"'), ("phone = ", ""), ("call ", " now"), ("a,", ",b")):
        assert judge(p.cn_mobile, "13912345678", before, after), (before, after)
    assert judge(p.cn_mobile, "+86 139-1234-5678")
    for before, after in (("1", ""), ("", "9"), ("0.", ""), ("", ".5"), ("x = ", ""), ("2**34 == ", ""), ("f(", ")")):
        assert not judge(p.cn_mobile, "13912345678", before, after), (before, after)
    assert not judge(p.cn_mobile, "15412345678")
    assert not judge(p.cn_mobile, "13900000000")


def test_international_phone() -> None:
    """
    An international number starts with a country code of E.164 and has 9 to 15 digits.
    """
    kept = ["+49 30 901820123", "+44 7911 123456", "+1 (415) 867-5309", "+852 2345 6789"]
    assert all(judge(p.phone_e164, n, '"', '"') for n in kept)
    dropped = ["+1 202 555 0143", "+12345678", "+0012345678", "+999 123456789", "+49 0000000000"]
    assert not any(judge(p.phone_e164, n, '"', '"') for n in dropped)
    assert not judge(p.phone_e164, "+4930901820", "x")


def test_email() -> None:
    """
    An address counts if its domain can exist and somebody may read the mailbox.
    """
    kept = ["wang.fang@huawei.com", "a.b+c@mail.acme.co.uk", "li@dept.edu.cn", "mei@acme.cloud"]
    assert all(judge(p.email_address, a, "<", ">") for a in kept)
    dropped = [
        "user@example.com",
        "a@b.example",
        "x@host.test",
        "x@host.invalid",
        "x@sub.localhost",
        "noreply@acme.com",
    ]
    dropped += [
        "icon@2x.png",
        "a@b.T",
        "self.w@x.grad",
        "you@acme.com",
        "xxxx@acme.com",
        "a..b@acme.com",
        "git@acme.com",
    ]
    assert not any(judge(p.email_address, a) for a in dropped)
    assert not judge(p.email_address, "deploy@gitlab.acme.com", "", ":group/repo.git")
    assert not judge(p.email_address, "xxxxxy@db.acme.com", "postgres://app:", "/x")
    assert not judge(p.email_address, "w@x.is", "", "()")
    assert judge(p.email_address, "li.wei@acme.com", "", ":")


def test_ipv4() -> None:
    """
    An address counts if it is routed on the internet and is not a version, a mask or a public resolver.
    """
    kept = ["47.98.113.21", "93.184.216.34", "223.104.63.9"]
    assert all(judge(p.ipv4_public, a, "ip: ") for a in kept)
    dropped = ["10.1.2.30", "172.16.9.88", "192.168.4.77", "127.0.0.1", "169.254.1.99", "100.64.1.22", "203.0.113.5"]
    dropped += [
        "198.51.100.7",
        "224.0.0.251",
        "255.255.255.0",
        "8.8.8.8",
        "1.2.3.4",
        "2.7.0.40",
        "77.77.77.77",
    ]
    assert not any(judge(p.ipv4_public, a, "ip: ") for a in dropped)
    assert not judge(p.ipv4_public, "47.98.113.21", "version ")
    assert not judge(p.ipv4_public, "47.98.113.21", "Chrome/")
    assert not judge(p.ipv4_public, "47.98.113.21", "1.")
    assert judge(p.ipv4_public, "47.98.113.21", "from ", ".")


def test_other_numbers() -> None:
    """
    IPv6, MAC, US social security and telephone numbers follow their registries.
    """
    assert judge(p.ipv6_public, "2606:2800:220:1:248:1893:25c8:1946")
    assert not judge(p.ipv6_public, "2001:db8::8a2e:370:7334")
    assert not judge(p.ipv6_public, "2024:10:01:12:30")
    assert judge(p.mac_address, "3c:22:fb:9a:41:d7")
    assert not judge(p.mac_address, "00:00:5e:00:53:af")
    assert not judge(p.mac_address, "01:22:fb:9a:41:d7")  # group address
    assert not judge(p.mac_address, "3c:22:fb:9a:41:d7", "", ":10")
    assert judge(p.us_ssn, "512-45-6789")
    assert not any(judge(p.us_ssn, n) for n in ("078-05-1120", "666-45-6789", "512-00-6789", "111-22-3333"))
    assert judge(p.phone_nanp, "(415) 867-5309")
    assert not any(judge(p.phone_nanp, n) for n in ("415-555-0123", "411-867-5309", "415-911-5309"))
    assert judge(p.cn_landline, "010-62781234")
    assert not judge(p.cn_landline, "010-00000000")


def test_linear_time() -> None:
    """
    A long hostile address is judged at once.
    """
    value = "a." * 30_000 + "@" + "b-." * 30_000 + "com"
    assert not judge(p.email_address, value)
