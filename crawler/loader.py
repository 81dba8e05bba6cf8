"""From what a user names on the command line to a spider.

A target is a file (`quotes.py`, `quotes.py:Quotes`), a module (`pkg.mod`, `pkg.mod:Quotes`; one of the package `spiders`
also by its short name) or a URL, for which the ready-made site spider is found like any user's.

Loading a file or a module runs it with its folder on `sys.path`, as Python does with a script, but last instead of first: a
`queue.py` beside a spider must not take the place of the standard library's for the crawl itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.errors import CrawlError, TargetError
from crawler.faults import explain
from crawler.paths import expanded
from crawler.spider import Spider
from crawler.web.urls import host_of, normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

Loaded = TypeVar("Loaded")

_log = logging.getLogger(__name__)

READY_MADE = "spiders"
SITE_SPIDER = "spiders.site:SiteSpider"

_URL = re.compile(r"https?://", re.IGNORECASE)
_CREDENTIALS = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)
_CLASS = re.compile(r":[^\W\d]\w*$")
_MODULE = re.compile(r"\w+(\.\w+)*")
_SCRAPYS = {
    "itemadapter": "here items are what callbacks give, and what is kept of each is said by keep_item(item, page) of the spider",
    "scrapy": "here spiders derive from crawler.Spider, and docs/recipes.md lists what else has another name",
}
"""Modules that spiders for Scrapy import, and what to do without them."""
_SITE = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?(/.*)?")


def load(target: str, arguments: Mapping[str, Any] | None = None) -> Spider:
    """The spider that `target` names, made with `arguments`.

    Raises TargetError, which says where the mistake is, without a traceback, if it cannot be found, read or built; SpiderError if it does
    not take these arguments; InvalidUrl if a seed is not a URL.
    """
    arguments = dict(arguments or {})
    if is_url(target):
        target, arguments = SITE_SPIDER, {"start_urls": [target], **arguments}
    spider = _make(load_class(target), arguments)
    _check_name(spider)
    _check_seeds(spider)
    return spider


def load_class(target: str) -> type[Spider]:
    """The spider class that `target`, which is not a URL, names. Raises TargetError."""
    if "://" in target:
        raise TargetError(f"{target}: only http and https URLs are crawled")
    place, colon, name = target.rpartition(":") if _CLASS.search(target) else (target, "", "")
    module = _load_file(Path(place)) if _is_path(place) else _load_module(place)
    return _named(module, place, name) if colon else _only(module, place)


def is_url(target: str) -> bool:
    return _URL.match(target) is not None


def crawl_name(target: str, spider: Spider) -> str:
    """The name of the crawl of `target` in file names: the spider's name, or a URL's host, with the port unless that is the default. Any
    character except letters, digits, `.`, `_` and `-` becomes `_`."""
    name = host_of(normalize(target)).replace(":", "-") if is_url(target) else spider.crawl_name()
    return re.sub(r"[^\w.-]", "_", name) or "crawl"


def _is_path(place: str) -> bool:
    path = Path(place)
    is_plain_folder = path.is_dir() and not (path / "__init__.py").is_file()
    return place.endswith(".py") or os.sep in place or path.is_file() or is_plain_folder


# Finding


def _load_file(path: Path) -> ModuleType:
    path = expanded(path)
    if path.is_dir():
        raise TargetError(f"{path} is a folder; name a spider file in it{_list(sorted(path.glob('*.py')))}")
    if not path.is_file():
        raise TargetError(f"there is no file {path}{_near(path)}{_site_hint(str(path))}")
    path = path.resolve()
    folder, name = path.parent, path.stem
    while (folder / "__init__.py").is_file():  # a module of a package, which may have relative imports
        folder, name = folder.parent, f"{folder.name}.{name}"
    _search_last(folder)
    if _is_taken(name, path):
        name = str(path)
    return sys.modules.get(name) or _run(lambda: _execute(name, path), path.name)


def _is_taken(name: str, path: Path) -> bool:
    """Whether another module has this name, such as the standard library's `queue`, loaded or not."""
    if name in sys.modules or name in sys.stdlib_module_names:
        return getattr(sys.modules.get(name), "__file__", None) != str(path)
    spec = None if "." in name else importlib.util.find_spec(name)
    return spec is not None and spec.origin != str(path)


def _execute(name: str, path: Path) -> ModuleType:
    folders = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str) -> ModuleType:
    if not _MODULE.fullmatch(name):
        raise TargetError(f"{name!r} is not a spider file, module or URL{_site_hint(name)}")
    # The ready-made first: they are neither the standard library's `site`, nor in a folder `spiders` of the user's.
    module = _import(f"{READY_MADE}.{name}")
    if module is None:
        _search_last(Path.cwd())
        module = _import(name)
    if module is None:
        raise TargetError(f"there is no module {name}{_near(Path(f'{name}.py'))}{_site_hint(name)}")
    return module


def _import(name: str) -> ModuleType | None:
    """The module; None if there is no module of that name."""
    return _run(lambda: _module(name), name.removeprefix(f"{READY_MADE}."))


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):  # otherwise something that it imports is missing
            return None
        raise


def _search_last(folder: Path) -> None:
    """Make the modules in a folder importable, after all others. Only a package `spiders`, which many projects have, takes precedence over
    the ready-made one, unless that is loaded already."""
    if str(folder) in sys.path:
        return
    sys.path.append(str(folder))
    package = folder / READY_MADE / "__init__.py"
    if package.is_file() and READY_MADE not in sys.modules:
        _run(lambda: _execute(READY_MADE, package), str(package))


# Choosing


def _only(module: ModuleType, place: str) -> type[Spider]:
    """The only spider class defined in `module`, not counting base classes of others there."""
    own = _spiders(module)
    bases = {base for spider in own for base in spider.__mro__[1:]}
    leaves = [spider for spider in own if spider not in bases]
    match leaves:
        case [spider]:
            return spider
        case []:
            raise TargetError(f"{place} defines no spider: write a class that derives from crawler.Spider in it")
        case _:
            raise TargetError(f"{place} defines several spiders; name one of: {_candidates(place, leaves)}")


def _named(module: ModuleType, place: str, name: str) -> type[Spider]:
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Spider):
        return found
    problem = f"{place} has no {name}" if found is None else f"{name} in {place} is not a spider class"
    own = _spiders(module)
    raise TargetError(problem + (f"; it has: {_candidates(place, own)}" if own else ""))


def _spiders(module: ModuleType) -> list[type[Spider]]:
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Spider)]
    return list(dict.fromkeys(spider for spider in classes if spider.__module__ == module.__name__))


# Making


def _make(spider: type[Spider], arguments: Mapping[str, Any]) -> Spider:
    try:
        return spider(**arguments)
    except (CrawlError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too: it would end the command with exit code 0
        raise TargetError(f"{spider.__name__} cannot be made: {_in_short(error)}") from error


def _check_name(spider: Spider) -> None:
    """Raises TargetError for a name that a crawl file cannot keep."""
    name: object = spider.crawl_name()
    if not isinstance(name, str) or not name.isprintable():
        raise TargetError(f"the name of {type(spider).__name__} is {name!r}; it must be printable text")


def _check_seeds(spider: Spider) -> None:
    """Check `start_urls` now, before a crawl file is made. Raises TargetError, and InvalidUrl."""
    if type(spider).start is not Spider.start:
        return
    given: object = spider.start_urls
    if isinstance(given, str):
        raise TargetError(f"start_urls of {type(spider).__name__} is a string; it must be a list: [{given!r}]")
    if not isinstance(given, Collection):
        raise TargetError(
            f"start_urls of {type(spider).__name__} is a {type(given).__name__}; it must be a list of URLs"
        )
    for url in given:
        if not isinstance(url, str):
            raise TargetError(f"start_urls of {type(spider).__name__} holds {url!r}, which is not text")
        seed = normalize(url)
        if _CREDENTIALS.match(url.strip()):
            _log.warning(
                "the user name and password of %s are not sent: see 'A site behind a password' in docs/recipes.md", seed
            )


# Saying what is wrong


def _run(load: Callable[[], Loaded], place: str) -> Loaded:
    """What `load` returns; whatever it raises becomes a TargetError."""
    try:
        return load()
    except SyntaxError as error:
        raise TargetError(_syntax_error(error, place)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TargetError(f"{place} cannot be loaded: {_in_short(error)}") from error


def _syntax_error(error: SyntaxError, place: str) -> str:
    """`file:line:column: message`, the line, and a caret below the column."""
    where = f"{_shown(error.filename or place)}:{error.lineno or 1}:{error.offset or 1}: {error.msg}"
    line = (error.text or "").rstrip("\n")
    if not line.strip():
        return where
    indent = len(line) - len(line.lstrip())
    caret = max((error.offset or 1) - 1 - indent, 0)
    return f"{where}\n    {line.strip()}\n    {' ' * caret}^"


def _in_short(error: BaseException) -> str:
    """`file:line: Type: message`, and what to do."""
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        hint = f"; {_SCRAPYS.get(package, 'install it, or put it beside the spider')}"
    return explain(error).replace(f"{Path.cwd()}{os.sep}", "") + hint


def _shown(filename: str) -> str:
    """The path as a user in this folder would write it."""
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _near(path: Path) -> str:
    """Files beside `path` with a name like it."""
    from difflib import get_close_matches

    close = get_close_matches(path.name, [entry.name for entry in path.parent.glob("*.py")])
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _site_hint(target: str) -> str:
    looks_like_a_site = _SITE.fullmatch(target) and not target.endswith(".py")
    return f"; if it is a site, write https://{target}" if looks_like_a_site else ""


def _list(paths: list[Path]) -> str:
    return f": {', '.join(path.name for path in paths)}" if paths else ""


def _candidates(place: str, spiders: list[type[Spider]]) -> str:
    return ", ".join(f"{place}:{spider.__name__}" for spider in spiders)
