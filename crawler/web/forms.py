"""Forms of HTML documents: the request that submitting one makes (HTML Standard §4.10.21).

Scripts do not run, so `onsubmit` is ignored, and values are not checked against `required`, `pattern` and the like: the server will say
what it does not accept. Other departures from the standard: values of numbers, dates, colours and ranges are sent as they are written;
`wrap=hard` is ignored; an image is always pressed at 0, 0; `dirname` gives the direction that `dir` declares, otherwise left to right; if
the first submit button is disabled, the next one is pressed; `accept` is ignored: files of any type may be given.

A form's tag directly within a table contains nothing in the tree, so its controls seem to be in no form. As in browsers, such a control
belongs to that form if it is in the same table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from crawler.errors import InvalidUrl, SpiderError
from crawler.web import encoding as encodings
from crawler.web import form_bodies
from crawler.web.form_bodies import MULTIPART, PLAIN, URLENCODED, File, pairs_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from selectolax.lexbor import LexborNode

    from crawler.web.document import Document
    from crawler.web.form_bodies import Entry, FormValue

FieldValue: TypeAlias = "FormValue | bool | Sequence[FormValue] | None"
"""What a field of a form may be given: a value or a `File`, several, True or False to tick or untick a box, None to send nothing."""

Button: TypeAlias = "str | LexborNode | Literal[False] | None"

_CONTROLS = "form, input, button, select, textarea"
_BUTTONS = frozenset({"submit", "image", "button", "reset"})
_TABLE_PARTS = frozenset({"table", "tbody", "thead", "tfoot", "tr"})
_LINE_END = re.compile(r"\r\n?|\n")
_SPACES = re.compile(r"[\t\n\f\r ]+")
_TWO_OR_MORE = re.compile(r"[\t\n\f\r ]*\+?0*(?:[2-9]|1[0-9])")
"""The beginning of texts that mean such a number by the rules for parsing non-negative integers (§2.3.4.2)."""
_ONE_LINE = frozenset({"text", "search", "tel", "password", "url", "email"})
_STATES = _BUTTONS | _ONE_LINE | frozenset(
    {"hidden", "date", "month", "week", "time", "datetime-local", "number", "range", "color", "checkbox", "radio", "file"}
)  # fmt: skip
_CHOICES = frozenset({"checkbox", "radio", "select"})
_NO_FILE = File("", b"")
"""What is sent for a field in which no file is chosen."""


class Submission(NamedTuple):
    """The request that submitting a form makes; `content_type` is that of the body."""

    method: str
    url: str
    content_type: str | None
    body: bytes | None


class _Control:
    """A control of a form: its kind, the values that it can have (`options`), and those that it has."""

    def __init__(self, node: LexborNode, around: _Around) -> None:
        self.node = node
        self.name = node.attributes.get("name") or ""
        self.kind = _kind_of(node)
        self.around = around
        self.is_disabled = around.is_disabled or "disabled" in node.attributes
        self.values: list[str | File] = [*_values_of(node, self.kind)]
        self.options = _options_of(node, self.kind)

    @property
    def is_submit(self) -> bool:
        return self.kind in ("submit", "image")

    @property
    def is_of_one(self) -> bool:
        """Whether at most one of several values can be chosen."""
        return self.kind == "radio" or (self.kind == "select" and "multiple" not in self.node.attributes)


def submission(
    document: Document, node: LexborNode, fields: Mapping[str, FieldValue], button: Button = None
) -> Submission:
    """The request that submitting a form makes, with `fields` filled in. `node` is the form, or something in it.

    `button`: the submit button that is pressed, by default the form's first; False: none, as when a script submits.

    Raises SpiderError for fields and values that the form does not have, and for a form that cannot be submitted.
    """
    form = _Form(document, node)
    submitter = form.button(button)
    for name, value in fields.items():
        form.fill(name, value)
    return form.submit(submitter)


class _Form:
    """A form that is being filled in."""

    def __init__(self, document: Document, node: LexborNode) -> None:
        self._document = document
        self._node, self._controls = _form_and_controls(document, node)
        _settle_radios(self._controls)

    def _error(self, text: str) -> SpiderError:
        return SpiderError(f"the form {_shown(self._node)} of {self._document.url} {text}")

    # ------------------------------------------------------------------ what is filled in

    def fill(self, name: str, value: FieldValue) -> None:
        """Give a field its value. If there are a visible and a hidden field of this name, the visible one is meant."""
        fields = [one for one in self._controls if one.name == name and one.kind not in _BUTTONS]
        if not fields:
            raise self._no_field(name)
        fields = [one for one in fields if one.kind != "hidden"] or fields
        values = self._values(name, value, fields)
        for field in fields:
            field.is_disabled = False  # a script of the page would have enabled it by then
            field.values = []
        for one in values:
            if isinstance(one, File):
                self._give_file(name, one, fields)
            else:
                self._give(name, one, fields)

    def _values(self, name: str, value: FieldValue, fields: Sequence[_Control]) -> list[str | File]:
        if value is None or value is False:
            return []
        if value is not True:
            return values_of(name, value)
        if [one.kind for one in fields] != ["checkbox"]:
            raise self._error(f"has no single box {name!r} to be ticked by True{_among(fields)}")
        return [*fields[0].options]

    def _give_file(self, name: str, file: File, fields: Sequence[_Control]) -> None:
        """Give a file to the next control that takes one; one that is `multiple` takes all that are left."""
        controls = [one for one in fields if one.kind == "file"]
        for control in controls:
            if not control.values or "multiple" in control.node.attributes:
                control.values.append(file)
                return
        if not controls:
            raise self._error(f"takes no file as {name!r}{_among(fields)}")
        raise self._error(f"takes {len(controls)} file{'s' * (len(controls) != 1)} as {name!r}, not more")

    def _give(self, name: str, text: str, fields: Sequence[_Control]) -> None:
        """Give one of a field's values to a control that has it among its options, or else to the next one that takes any text."""
        for field in fields:
            if text in field.options and text not in field.values:
                if field.is_of_one and any(one.values for one in fields if one.is_of_one):
                    raise self._error(f"takes one value as {name!r}, not several")
                field.values.append(text)
                return
        for field in fields:
            if field.kind not in _CHOICES and field.kind != "file" and not field.values:
                field.values.append(text)
                return
        if any(field.kind == "file" for field in fields):
            raise self._error(f"takes a file as {name!r}, not {text!r:.80}: give it a File(name, data)")
        raise self._error(f"does not take {text!r} as {name!r}{_among(fields)}")

    def _no_field(self, name: str) -> SpiderError:
        if any(one.name == name for one in self._controls):
            return self._error(f"has {name!r} as a button: say which is pressed by button=")
        names = dict.fromkeys(one.name for one in self._controls if one.name and one.kind not in _BUTTONS)
        forms = len(self._document.css("form"))
        hint = f"; the page has {forms} forms: say which is meant by a selector" if forms > 1 else ""
        return self._error(f"has no field {name!r}; its fields are: {', '.join(names) or 'none'}{hint}")

    def button(self, button: Button) -> _Control | None:
        """The button that is pressed (§4.10.21.2)."""
        buttons = [one for one in self._controls if one.is_submit]
        if button is False:
            return None
        if button is None:
            return next((one for one in buttons if not one.is_disabled), None)
        wanted = set(self._document.css(button)) if isinstance(button, str) else {button}
        for one in buttons:
            if one.node in wanted:
                return one
        has = ", ".join(_shown(one.node) for one in buttons) or "none"
        shown = repr(button) if isinstance(button, str) else _shown(button)
        raise self._error(f"has no submit button {shown}; its submit buttons are: {has}")

    # ------------------------------------------------------------------ what is sent (§4.10.21.3)

    def submit(self, submitter: _Control | None) -> Submission:
        """The request."""
        method = self._attribute("method", submitter).lower()
        if method == "dialog":
            raise self._error("sends nothing: its method is dialog")
        url, encoding = self._action(submitter), self._encoding()
        entries = self._entries(submitter, encoding)
        enctype = self._attribute("enctype", submitter).lower()
        if method == "post" and enctype == MULTIPART:
            boundary, body = form_bodies.multipart(entries, encoding)
            return Submission("POST", url, f"{MULTIPART}; boundary={boundary}", body)
        pairs = [(name, _crlf(value)) for name, value in pairs_of(entries)]
        if method != "post":
            return Submission("GET", f"{url.partition('?')[0]}?{form_bodies.urlencoded(pairs, encoding)}", None, None)
        if enctype == PLAIN:
            return Submission("POST", url, PLAIN, form_bodies.plain(pairs, encoding))
        return Submission("POST", url, URLENCODED, form_bodies.urlencoded(pairs, encoding).encode())

    def _attribute(self, name: str, submitter: _Control | None) -> str:
        """The attribute of the button, or else of the form."""
        own = submitter.node.attributes if submitter else {}
        return (own[f"form{name}"] if f"form{name}" in own else self._node.attributes.get(name)) or ""

    def _action(self, submitter: _Control | None) -> str:
        action = self._attribute("action", submitter)
        if not action:
            return self._document.url
        try:
            return self._document.urljoin(action)
        except InvalidUrl:
            raise self._error(f"is sent to {action!r}, which is nothing that can be fetched") from None

    def _encoding(self) -> str:
        """§4.10.21.5, pick an encoding."""
        accepted = self._node.attributes.get("accept-charset")
        if accepted is None:
            found = self._document.encoding
        else:
            found = next(filter(None, map(encodings.codec_of, accepted.split())), encodings.UTF_8)
        return form_bodies.output_encoding(found)

    def _entries(self, submitter: _Control | None, encoding: str) -> list[Entry]:
        """§4.10.21.4, construct the entry list."""
        entries: list[Entry] = []
        for one in self._controls:
            if one.is_disabled or one.around.is_in_datalist or (one.kind in _BUTTONS and one is not submitter):
                continue
            if one.kind == "image":
                prefix = f"{one.name}." if one.name else ""
                entries += [(f"{prefix}x", "0"), (f"{prefix}y", "0")]
            elif not one.name:
                continue
            elif one.kind == "file":
                entries += [(one.name, file) for file in one.values or [_NO_FILE]]
            elif one.kind == "hidden" and one.name.lower() == "_charset_":
                entries.append((one.name, encodings.name_of(encoding)))
            else:
                entries += [(one.name, value) for value in one.values]
                if one.values and (direction := one.node.attributes.get("dirname")):
                    entries.append((direction, one.around.within(one.node).direction))
        return [(_crlf(name), value if isinstance(value, File) else _crlf(value)) for name, value in entries]


# ---------------------------------------------------------------------- which form, and what belongs to it


def _form_and_controls(document: Document, node: LexborNode) -> tuple[LexborNode, list[_Control]]:
    """The form that a node is, or belongs to, and its controls, in tree order."""
    surroundings = _Surroundings()
    owners = dict(_owners(document, surroundings))
    form = node if node.tag == "form" else owners.get(node) or surroundings.of(node).form
    if form is None:
        raise SpiderError(f"{_shown(node)}, on {document.url}, is not a form, nor in one")
    return form, [_Control(one, surroundings.of(one)) for one, owner in owners.items() if owner == form]


def _owners(document: Document, surroundings: _Surroundings) -> Iterator[tuple[LexborNode, LexborNode]]:
    """The controls of a document with the forms that they belong to (§4.10.17.3, reset the form owner)."""
    hollow: LexborNode | None = None
    by_id: dict[str | None, LexborNode] = {}
    for node in document.css("[id]"):
        by_id.setdefault(node.attributes["id"], node)
    for node in document.css(_CONTROLS):
        if node.tag == "form":
            is_in_table = node.parent is not None and node.parent.tag in _TABLE_PARTS
            hollow = node if is_in_table and node.child is None else None
            continue
        around = surroundings.of(node)
        owner = around.form
        if (named := node.attributes.get("form")) is not None:
            owner = by_id.get(named)
        elif owner is None and hollow and around.table == surroundings.of(hollow).table:
            owner = hollow
        if owner is not None and owner.tag == "form":
            yield node, owner


class _Around(NamedTuple):
    """The surroundings of a place in the tree, as far as they matter to controls there.

    `is_disabled`: by a fieldset, but not within its first legend, `legend`, where `was_disabled` holds (§4.10.18.5).
    """

    form: LexborNode | None = None
    table: LexborNode | None = None
    is_in_datalist: bool = False
    is_disabled: bool = False
    was_disabled: bool = False
    legend: LexborNode | None = None
    direction: str = "ltr"

    def within(self, node: LexborNode) -> _Around:
        """The surroundings within a node that is in these."""
        around, attributes = self, node.attributes
        if (said := (attributes.get("dir") or "").lower()) in ("ltr", "rtl"):
            around = around._replace(direction=said)
        match node.tag:
            case "form":
                return around._replace(form=node)
            case "table":
                return around._replace(table=node)
            case "datalist":
                return around._replace(is_in_datalist=True)
            case "fieldset" if "disabled" in attributes:
                legend = next((child for child in node.iter() if child.tag == "legend"), None)
                return around._replace(is_disabled=True, was_disabled=self.is_disabled, legend=legend)
            case "legend" if node == self.legend:
                return around._replace(is_disabled=self.was_disabled)
        return around


class _Surroundings:
    """The surroundings of nodes, found once for all nodes in one place, since documents may be deep."""

    def __init__(self) -> None:
        self._known: dict[LexborNode, _Around] = {}

    def of(self, node: LexborNode) -> _Around:
        path = []
        above = node.parent
        while above is not None and above not in self._known:
            path.append(above)
            above = above.parent
        around = _Around() if above is None else self._known[above]
        for one in reversed(path):
            self._known[one] = around = around.within(one)
        return around


# ---------------------------------------------------------------------- one control


def _kind_of(node: LexborNode) -> str:
    """The type of a control, or its tag."""
    tag = node.tag or ""
    kind = (node.attributes.get("type") or "").lower()
    if tag == "button":
        return kind if kind in ("reset", "button") else "submit"
    if tag == "input":
        return kind if kind in _STATES else "text"
    return tag


def _values_of(node: LexborNode, kind: str) -> list[str]:
    """The values that a control has in the document. No document can choose a file."""
    if kind == "file":
        return []
    if kind == "select":
        return _selected(node)
    if kind == "textarea":
        return [node.text()]
    value = node.attributes.get("value") or ""
    if kind in ("checkbox", "radio"):
        return _options_of(node, kind) if "checked" in node.attributes else []
    if kind in _ONE_LINE:
        value = value.replace("\n", "").replace("\r", "")
    return [value.strip(" \t\f") if kind in ("url", "email") else value]


def _options_of(node: LexborNode, kind: str) -> list[str]:
    """The values of a control that can be chosen."""
    if kind == "select":
        return [_value_of(option) for option in node.css("option")]
    if kind in ("checkbox", "radio"):
        value = node.attributes.get("value", "on")
        return [value or ""]
    return []


def _selected(select: LexborNode) -> list[str]:
    """What is selected (§4.10.7); if only one option can be and none is, the first that is not disabled."""
    options = select.css("option")
    chosen = [option for option in options if "selected" in option.attributes]
    if "multiple" not in select.attributes:
        is_open = _TWO_OR_MORE.match(select.attributes.get("size") or "") is not None
        chosen = chosen[-1:] or ([] if is_open else [one for one in options if not _is_option_disabled(one)][:1])
    return [_value_of(option) for option in chosen if not _is_option_disabled(option)]


def _is_option_disabled(option: LexborNode) -> bool:
    group = option.parent
    return "disabled" in option.attributes or (
        group is not None and group.tag == "optgroup" and "disabled" in group.attributes
    )


def _value_of(option: LexborNode) -> str:
    if "value" in option.attributes:
        return option.attributes["value"] or ""
    return _SPACES.sub(" ", option.text()).strip(" ")


def _settle_radios(controls: Sequence[_Control]) -> None:
    """Leave only one button of each group checked: the last that says so."""
    checked: dict[str, _Control] = {}
    for one in controls:
        if one.kind == "radio" and one.values and one.name:
            if before := checked.get(one.name):
                before.values = []
            checked[one.name] = one


# ---------------------------------------------------------------------- texts


def _crlf(text: str) -> str:
    return _LINE_END.sub("\r\n", text)


def _among(fields: Sequence[_Control]) -> str:
    options = [option for one in fields for option in one.options]
    return f"; it can be: {', '.join(map(repr, options))}" if options else ""


def _shown(node: LexborNode) -> str:
    """An element, by its tag and the attributes that distinguish it."""
    attributes = node.attributes
    told = [f"{name}={attributes[name]!r}" for name in ("id", "name", "action", "value") if attributes.get(name)]
    return f"<{' '.join([node.tag or '', *told])}>"
