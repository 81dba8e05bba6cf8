"""The demo's site, a field guide to spiders, made of one table. It has what sites have: lists over several pages, the same
page under several links, redirects, a link that leads nowhere, a slow page, and a part that robots.txt asks to stay out of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple, TypeAlias

Answer: TypeAlias = tuple[int, Mapping[str, str], str]
"""Status, headers and body."""

SLOW_PATH = "/slow"
PER_PAGE = 8


class Species(NamedTuple):
    """One entry of the guide. `length`: of females, in millimetres, without legs."""

    name: str
    family: str
    english: str
    length: int
    hunts: str

    @property
    def path(self) -> str:
        return f"/species/{self.name.lower().replace(' ', '-')}"


SPECIES = tuple(
    Species(*entry)
    for entry in (
        ("Trichonephila clavipes", "Araneidae", "Golden silk orb-weaver", 30, "orb web"),
        ("Nephila pilipes", "Araneidae", "Giant golden orb-weaver", 40, "orb web"),
        ("Araneus diadematus", "Araneidae", "European garden spider", 14, "orb web"),
        ("Argiope bruennichi", "Araneidae", "Wasp spider", 16, "orb web"),
        ("Argiope aurantia", "Araneidae", "Yellow garden spider", 24, "orb web"),
        ("Caerostris darwini", "Araneidae", "Darwin's bark spider", 20, "orb web"),
        ("Cyclosa conica", "Araneidae", "Conical trashline weaver", 7, "orb web"),
        ("Tetragnatha extensa", "Tetragnathidae", "Common stretch-spider", 11, "orb web"),
        ("Meta menardi", "Tetragnathidae", "European cave spider", 15, "orb web"),
        ("Uloborus plumipes", "Uloboridae", "Feather-legged lace weaver", 6, "orb web"),
        ("Hyptiotes paradoxus", "Uloboridae", "Triangle weaver", 6, "triangle web"),
        ("Deinopis subrufa", "Deinopidae", "Rufous net-casting spider", 25, "cast net"),
        ("Linyphia triangularis", "Linyphiidae", "European hammock spider", 6, "sheet web"),
        ("Steatoda grossa", "Theridiidae", "Cupboard spider", 10, "tangle web"),
        ("Latrodectus hasselti", "Theridiidae", "Redback spider", 10, "tangle web"),
        ("Eratigena atrica", "Agelenidae", "Giant house spider", 18, "funnel web"),
        ("Agelena labyrinthica", "Agelenidae", "Labyrinth spider", 14, "funnel web"),
        ("Argyroneta aquatica", "Dictynidae", "Diving bell spider", 12, "under water"),
        ("Misumena vatia", "Thomisidae", "Goldenrod crab spider", 10, "ambush"),
        ("Thomisus onustus", "Thomisidae", "Pink crab spider", 9, "ambush"),
        ("Salticus scenicus", "Salticidae", "Zebra spider", 7, "leaps"),
        ("Maratus volans", "Salticidae", "Peacock spider", 5, "leaps"),
        ("Phidippus audax", "Salticidae", "Bold jumping spider", 13, "leaps"),
        ("Portia fimbriata", "Salticidae", "Fringed jumping spider", 10, "raids webs"),
        ("Dolomedes fimbriatus", "Pisauridae", "Raft spider", 20, "on water"),
        ("Pisaura mirabilis", "Pisauridae", "Nursery web spider", 14, "roams"),
        ("Lycosa tarantula", "Lycosidae", "Tarantula wolf spider", 27, "roams"),
        ("Pardosa amentata", "Lycosidae", "Spotted wolf spider", 7, "roams"),
        ("Pholcus phalangioides", "Pholcidae", "Daddy long-legs spider", 9, "tangle web"),
        ("Scytodes thoracica", "Scytodidae", "Spitting spider", 6, "spits"),
    )
)

FAMILIES = tuple(dict.fromkeys(species.family for species in SPECIES))


def site() -> dict[str, Answer]:
    """Every page by its path, with the query."""
    pages = {
        "/": _page("A field guide to spiders", _links([("/species?page=1", "All species"), *_asides])),
        "/robots.txt": (200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /private/\n"),
        "/private/notes": _page("Notes", "<p>Nobody who asked robots.txt reads this.</p>"),
        "/map": _moved("/families/", 301),
        "/latest": _moved(SPECIES[-1].path, 302),
        SLOW_PATH: _page("The slow page", "<p>Some pages take their time; the others do not wait for them.</p>"),
        "/families/": _page("Families", _links((_family_path(family), family) for family in FAMILIES)),
    }
    last = -(-len(SPECIES) // PER_PAGE)
    for number in range(1, last + 1):
        pages[f"/species?page={number}"] = _list_page(number, last)
    for family in FAMILIES:
        pages[_family_path(family)] = _page(family, _species_links(s for s in SPECIES if s.family == family))
    for species in SPECIES:
        pages[species.path] = _species_page(species)
    return pages


_asides = [
    ("/families/", "Families"),
    ("/map", "The old map, which has moved"),
    ("/latest", "The latest entry"),
    (SLOW_PATH, "A page that takes its time"),
    ("/lost", "A page that is lost"),
    ("/private/notes", "Private notes"),
]


def _list_page(number: int, last: int) -> Answer:
    shown = SPECIES[(number - 1) * PER_PAGE : number * PER_PAGE]
    further = f'<a rel="next" href="?page={number + 1}">More</a>' if number < last else ""
    return _page(f"Species, page {number} of {last}", f"{_species_links(shown)}\n<p>{further}</p>")


def _species_page(species: Species) -> Answer:
    facts = {
        "Family": species.family,
        "English name": species.english,
        "Hunts": species.hunts,
        "Length": f"{species.length} mm",
    }
    rows = "".join(f"<tr><th>{name}<td>{escape(value)}" for name, value in facts.items())
    back = _links([(_family_path(species.family), f"More {species.family}"), ("/", "Home")])
    return _page(species.name, f"<table>{rows}</table>\n{back}")


def _species_links(species: Iterable[Species]) -> str:
    return _links((one.path, one.name) for one in species)


def _family_path(family: str) -> str:
    return f"/families/{family.lower()}"


def _links(links: Iterable[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="{escape(path)}">{escape(text)}</a>\n' for path, text in links)
    return f"<ul>\n{items}</ul>"


def _moved(path: str, status: int) -> Answer:
    return status, {"Location": path}, ""


def _page(title: str, content: str) -> Answer:
    head = f'<!DOCTYPE html>\n<html lang="en">\n<title>{escape(title)}</title>\n<h1>{escape(title)}</h1>\n'
    return 200, {"Content-Type": "text/html; charset=utf-8"}, f"{head}{content}\n"
