#!/usr/bin/env python3
"""Writes tables/area_codes.csv and tables/postal_codes.csv from published data. Run by hand, to renew it:

    python3 -m venv /tmp/tables && /tmp/tables/bin/pip install phonenumbers zipcodes
    /tmp/tables/bin/python scripts/make_tables.py

Nothing in CI runs it, and a build needs neither it nor the network: what it wrote is committed. docs/tables.md says
what the tables are for, and what is doubtful in them.
"""

from __future__ import annotations

import datetime
import sys
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path
from zoneinfo import available_timezones

import phonenumbers
import zipcodes
from phonenumbers.geodata import GEOCODE_DATA
from phonenumbers.tzdata import TIMEZONE_DATA

TABLES = Path(__file__).resolve().parent.parent / "tables"

# States and provinces as Google's geodata writes them.
STATES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID",
    "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA",
    "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS",
    "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ",
    "New Mexico": "NM", "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH",
    "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC",
    "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA",
    "Washington State": "WA", "Washington D.C.": "DC", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
    "Alberta": "AB", "British Columbia": "BC", "British Colombia": "BC", "Manitoba": "MB", "New Brunswick": "NB",
    "Newfoundland and Labrador": "NL", "Nova Scotia": "NS", "Northwest Territories": "NT", "Nunavut": "NU",
    "Ontario": "ON", "Prince Edward Island": "PE", "Quebec": "QC", "Saskatchewan": "SK", "Yukon": "YT",
}  # fmt: skip
TERRITORIES = {"AS", "GU", "MP", "PR", "VI"}

# The zones of a number of which nothing is known: those of the continental United States.
CONTINENTAL = ["America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles"]

# The armed forces' addresses (AA, AE, AP) are anywhere in the world.
MILITARY = {"AA", "AE", "AP"}

ZONES = available_timezones()


def head(what: str, source: str, packages: list[str], columns: str) -> str:
    """What stands above the rows: `# key: value` lines are read by the program, other comments are not."""
    versions = " + ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"# {what}\n"
        "# Written by scripts/make_tables.py; docs/tables.md says how to replace it.\n"
        f"# version: {versions}\n# source: {source}\n# date: {datetime.date.today().isoformat()}\n{columns}\n"
    )


def states_of(description: str) -> list[str]:
    """`Florida`, `Nova Scotia/Prince Edward Island` and `Miami, FL` as codes; none where it names no state."""
    city_and_state = description.rsplit(", ", 1)
    if len(city_and_state) == 2 and city_and_state[1] in STATES.values():
        return [city_and_state[1]]
    return sorted({STATES[name] for name in description.split("/") if name in STATES})


def states_of_area(code: str, region: str) -> list[str]:
    """By the description of the whole area code; else by what most of the prefixes below it say."""
    if region in TERRITORIES:
        return [region]
    whole = states_of(GEOCODE_DATA.get(f"1{code}", {}).get("en", ""))
    if whole or region not in ("US", "CA"):
        return whole
    votes = Counter(
        state
        for prefix, names in GEOCODE_DATA.items()
        if prefix.startswith(f"1{code}")
        for state in states_of(names.get("en", ""))
    )
    return [votes.most_common(1)[0][0]]


def zips_by_area() -> dict[str, list[dict]]:
    by_area = defaultdict(list)
    for row in zipcodes.list_all():
        for code in row["area_codes"]:
            by_area[code].append(row)
    return by_area


def area_rows() -> list[str]:
    """One row for each area code of +1 that lies somewhere.

    Its zones are those of every prefix below it. Google's data tells prefixes of land lines only, and of younger codes
    none: the zones of the ZIP codes that name the area code, in the area code's own states, are added.
    """
    zones = defaultdict(set)
    for prefix, names in TIMEZONE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4:
            zones[prefix[1:4]].update(names)
    by_area = zips_by_area()
    rows = []
    for code in sorted(zones):
        region = region_of(code)
        states = states_of_area(code, region)
        if region == "US":
            check_state(code, states, by_area[code])
        zones[code].update(row["timezone"] for row in by_area[code] if row["state"] in states)
        rows.append(f"{code},{region},{' '.join(states)},{' '.join(sorted(zones[code] & ZONES))}")
    return rows


def region_of(code: str) -> str:
    for subscriber in ("2345678", "5555678", "9765432", "4567890"):
        region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{code}{subscriber}"))
        if region is not None:
            return region
    raise SystemExit(f"area code {code}: its country is not known")


def check_state(code: str, states: list[str], zips: list[dict]) -> None:
    """Both sources should name one state."""
    most = Counter(row["state"] for row in zips).most_common(1)
    if most and most[0][0] not in states:
        print(f"area code {code}: {states} by its description, {most} by ZIP codes", file=sys.stderr)


def country_rows() -> list[str]:
    """One row for each other calling code, with the zones of all that it covers."""
    rows = []
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items(), key=lambda item: str(item[0])):
        if code == 1 or regions[0] == "001":
            continue
        zones = {zone for prefix, names in TIMEZONE_DATA.items() if prefix.startswith(str(code)) for zone in names}
        if zones & ZONES:
            rows.append(f"+{code},{regions[0]},,{' '.join(sorted(zones & ZONES))}")
    return rows


def postal_rows() -> list[str]:
    """Ranges of ZIP codes of one state and zone.

    A ZIP code that is not in the table has what all of its first three digits have. So a range may go over gaps where
    those have one state and one zone only, and must not elsewhere.
    """
    known = {}
    for row in zipcodes.list_all():
        if row["state"] in MILITARY:
            continue
        if row["timezone"] not in ZONES:
            print(f"ZIP {row['zip_code']}: `{row['timezone']}` is no zone; left out", file=sys.stderr)
            continue
        known[row["zip_code"]] = (row["state"], row["timezone"])
    in_prefix = defaultdict(set)
    for code, place in known.items():
        in_prefix[code[:3]].add(place)
    ranges: list[list] = []
    for code, place in sorted(known.items()):
        last = ranges[-1] if ranges else None
        joins = (
            last is not None
            and last[2] == place
            and (
                int(code) == int(last[1]) + 1
                or all(in_prefix[f"{prefix:03}"] == {place} for prefix in range(int(last[1][:3]), int(code[:3]) + 1))
            )
        )
        if joins:
            last[1] = code
        else:
            ranges.append([code, code, place])
    return [f"{first},{last},{state},{zone}" for first, last, (state, zone) in ranges]


def main() -> None:
    area_codes = head(
        "Where the numbers of an area code (of +1), or of another calling code, may be.",
        "phonenumbers (Google's libphonenumber in Python, Apache-2.0), zones of younger area codes from zipcodes (MIT)",
        ["phonenumbers", "zipcodes"],
        "code,country,states,zones",
    )
    rest = f"*,,,{' '.join(CONTINENTAL)}"
    rows = [*area_rows(), *country_rows(), rest]
    (TABLES / "area_codes.csv").write_text(area_codes + "\n".join(rows) + "\n")
    postal_codes = head(
        "The state and the time zone of ranges of US ZIP codes.",
        "zipcodes (Python, MIT)",
        ["zipcodes"],
        "from,to,state,zone",
    )
    (TABLES / "postal_codes.csv").write_text(postal_codes + "\n".join(postal_rows()) + "\n")


if __name__ == "__main__":
    main()
