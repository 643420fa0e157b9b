"""Labels of the synthetic field corpus.

The texts of a Russian identity document: dates, codes, numbers, names, places and
issuing offices, in the field alphabet of 45 characters.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from faker import Faker

LONGEST_LABEL = 30
CAPITALS = "".join(chr(code) for code in range(ord("А"), ord("Я") + 1))  # without Ё, which is outside this range
FIELD_ALPHABET = " -." + "0123456789" + CAPITALS

# Places with letters that are rare in names, so that the training split has all 45 characters.
_RARE_PLACES = (
    "УЛ. ОБЪЕЗДНАЯ",
    "УЛ. СЪЕЗЖАЯ",
    "УЛ. ПОДЪЕМНАЯ",
    "ПЕР. РАЗЪЕЗЖИЙ",
    "СЪЯНОВО",
    "ЩЕРБИНКА",
    "ЩЕКИНО",
    "ЭЛЕКТРОСТАЛЬ",
    "Г. ЭЛИСТА",
    "ЮЖНО-САХАЛИНСК",
)


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, count))


def _date(rng: np.random.Generator, _: "Faker") -> str:
    day = np.datetime64("1930-01-01") + int(rng.integers(0, 36000))
    year, month, date = str(day).split("-")
    return f"{date}.{month}.{year}"


def _code(rng: np.random.Generator, _: "Faker") -> str:
    return f"{_digits(rng, 3)}-{_digits(rng, 3)}"


def _number(rng: np.random.Generator, _: "Faker") -> str:
    return f"{_digits(rng, 2)} {_digits(rng, 2)} {_digits(rng, 6)}"


def _surname(rng: np.random.Generator, faker: "Faker") -> str:
    one = faker.last_name_male if rng.random() < 0.5 else faker.last_name_female
    return f"{one()}-{one()}" if rng.random() < 0.08 else one()


def _given_name(rng: np.random.Generator, faker: "Faker") -> str:
    return faker.first_name_male() if rng.random() < 0.5 else faker.first_name_female()


def _patronymic(rng: np.random.Generator, faker: "Faker") -> str:
    return faker.middle_name_male() if rng.random() < 0.5 else faker.middle_name_female()


def _place(rng: np.random.Generator, faker: "Faker") -> str:
    if rng.random() < 0.15:
        return _RARE_PLACES[rng.integers(len(_RARE_PLACES))]
    return (faker.city, faker.city_name, faker.administrative_unit)[rng.integers(0, 3)]()


def _office(rng: np.random.Generator, faker: "Faker") -> str:
    body = ("ОВД", "УВД", "ОУФМС РОССИИ", "УФМС", "ГУ МВД РОССИИ", "ОТДЕЛОМ МИЛИЦИИ", "МП УФМС")[rng.integers(0, 7)]
    where = (f"Г. {faker.city_name()}", faker.administrative_unit(), f"ПО {faker.administrative_unit()}")
    return f"{body} {where[rng.integers(0, 3)]}"


# Generator of the text, whether the line is of kind "letters", share of the corpus.
_GENRES: tuple[tuple[Callable[[np.random.Generator, "Faker"], str], bool, float], ...] = (
    (_date, False, 0.18),
    (_code, False, 0.09),
    (_number, False, 0.13),
    (_surname, True, 0.14),
    (_given_name, True, 0.09),
    (_patronymic, True, 0.09),
    (_place, True, 0.14),
    (_office, True, 0.14),
)
_SHARES = np.array([share for _, _, share in _GENRES])


def draw_label(rng: np.random.Generator, faker: "Faker") -> tuple[str, bool]:
    """Draw one label in the field alphabet.

    Args:
        rng: source of all variation.
        faker: a ``ru_RU`` Faker; reseeded here, so one instance can draw many labels.

    Returns:
        The label, and whether the line is of kind "letters".
    """
    faker.seed_instance(int(rng.integers(2**31)))
    while True:
        write, letters, _ = _GENRES[rng.choice(len(_GENRES), p=_SHARES)]
        label = write(rng, faker).upper().replace("Ё", "Е")
        if len(label) <= LONGEST_LABEL and set(label) <= set(FIELD_ALPHABET):
            return label, letters
