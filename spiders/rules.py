"""A spider for sites whose URLs or layout show what a link leads to."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.errors import SettingError, SpiderError
from crawler.items import Sieve, gather
from crawler.request import Links
from crawler.spider import Spider, callback_of, sifts_items
from crawler.web.scope import Pattern, Scope
from spiders._selectors import check_selector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawler.page import Page

_DECISIONS_KEPT = 1024
"""For how many URLs each rule remembers its decision: pages of a site have many links in common."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which links a rule matches, and what is done with them.

    Raises SpiderError for invalid patterns, selectors and names.
    """

    allow: Sequence[Pattern] = ()
    """Patterns as for `Scope.of`: a string that begins with `/` is the start of the path, any other a regular expression, searched for
    anywhere in the URL. Without any, every link matches."""
    deny: Sequence[Pattern] = ()
    """URLs that do not match, whatever `allow` says."""
    _: KW_ONLY
    within: str | None = None
    """A CSS selector of the links, or of the parts of the page that contain them; None for the whole page, which needs no tree."""
    callback: str | None = None
    """The name of the method that takes the pages."""
    follow: bool | None = None
    """Whether the rules are applied to the links on those pages as well; None: only if there is no `callback`. Links of a rule with
    neither are not followed."""
    priority: int = 0
    _admits: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _links: Links | None = field(init=False, repr=False, compare=False)
    """What its requests have in common; None if it makes none."""

    def __post_init__(self) -> None:
        if self.callback == "parse" or not isinstance(self.callback, str | None):
            raise SpiderError(f"callback = {self.callback!r}: name a method other than parse, which follows the rules")
        if self.within is not None:
            check_selector(self.within, "within")
        goes_on = self.callback is None if self.follow is None else self.follow
        context = {"callback": self.callback} if goes_on and self.callback else None
        try:
            patterns = Scope.of(anywhere=True, allow=self.allow, deny=self.deny)
            links = Links((), callback=None if goes_on else self.callback, priority=self.priority, context=context)
        except (SettingError, AttributeError, TypeError, ValueError) as error:
            raise SpiderError(f"{self!r}: {error}") from None
        object.__setattr__(self, "allow", tuple(self.allow))
        object.__setattr__(self, "deny", tuple(self.deny))
        object.__setattr__(self, "_admits", lru_cache(_DECISIONS_KEPT)(patterns.admits))
        object.__setattr__(self, "_links", links if goes_on or self.callback else None)

    def urls(self, page: Page) -> list[str]:
        """The links on a page that match, without those marked `nofollow`."""
        urls = page.links() if self.within is None else _links_within(page, self.within)
        return list(filter(self._admits, urls))


def _links_within(page: Page, selector: str) -> list[str]:
    forbidden = set(page.nofollow)
    return [url for url in page.follow_all(page.css(selector)).urls if url not in forbidden]


class RulesSpider(Spider, ABC):
    """Follows the links that its `rules` match, and hands the pages to the callbacks that the rules name.

    For each link on a page, the first rule that matches it decides; a link that no rule matches is not followed. Seeds are only starting
    points, unless `start` names a callback for them. What a rule wants with a page is kept with its request.
    """

    rules: ClassVar[Sequence[Rule]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "parse" in vars(cls):
            raise SpiderError(f"{cls.__name__}.parse would take the place of the rules: name another method in a rule")
        if not isinstance(cls.rules, Sequence) or not all(isinstance(rule, Rule) for rule in cls.rules):
            raise SpiderError(f"the rules of {cls.__name__} are not a list of Rule: {cls.rules!r}")

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if not self.rules:
            raise SpiderError(f"{type(self).__name__} has no rules: write a class that derives from it, and has some")
        for rule in self.rules:
            callback_of(self, rule.callback)

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        """What the callback of the rule that led here gives, if it names one, and the links that the rules match."""
        if name := page.context.get("callback"):
            sieve = Sieve(self.keep_item, page) if sifts_items(self) else None
            yield await gather(callback_of(self, name), page, sieve=sieve)
        yield self.links(page)

    def links(self, page: Page) -> list[Links]:
        """The requests that the rules make on a page, for callbacks that follow links from some of their pages only."""
        if not page.is_html:
            return []
        own = {name: value for name, value in page.context.items() if name != "callback"}
        return self._meant(lambda rule: rule.urls(page), own)

    async def sitemap(self, page: Page) -> list[Links]:
        """What the rules mean of what a sitemap lists, and further sitemaps. Rules for certain places of a page mean none of it."""
        pages, *further = await self.listed(page)

        def urls_of(rule: Rule) -> list[str]:
            return list(filter(rule._admits, pages.urls)) if rule.within is None else []

        return [*self._meant(urls_of, {}), *further]

    def _meant(self, urls_of: Callable[[Rule], list[str]], own: Mapping[str, Any]) -> list[Links]:
        """Of the URLs that each rule means, those that no rule before it has decided; with a context of `own`."""
        decided: set[str] = set()
        found = []
        for rule in self.rules:
            urls = [url for url in urls_of(rule) if url not in decided]
            decided.update(urls)
            if urls and rule._links is not None:
                context = {**own, **(rule._links.context or {})} or None
                found.append(replace(rule._links, urls=urls, context=context, are_canonical=True))
        return found
