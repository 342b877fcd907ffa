"""Every public name has a complete docstring.

Public are the names in `__all__` of the rooms below, and what their classes define without an
underscore. A docstring is complete if it has

- a summary;
- every parameter of the signature, and none that is not there;
- what is returned, where something is;
- what is raised, where the code raises, or a function that it calls;
- its source, where its head has a formula;
- an example, which the docstring of a class has for its properties and fields.

A method that overrides one with a complete docstring may say in a line what differs.
"""

import ast
import enum
import functools
import importlib
import inspect
import re
import textwrap
from typing import NamedTuple

ROOMS = (
    "nvmix", "nvmix.backends", "nvmix.fitting", "nvmix.risk", "nvmix.diagnostics",
    "nvmix.estimators", "nvmix.interop", "nvmix.special", "nvmix.datasets", "nvmix.utils.plotting",
)  # fmt: skip
# Their names need libraries that may be missing.
OPTIONAL = {"nvmix.estimators", "nvmix.interop", "nvmix.utils.plotting"}
# Classes of what public functions return, which have no constructor of their own in a room.
RETURNED = (
    "nvmix.fitting.outcome.summary.Summary", "nvmix.mixture.divergence.Divergence",
    "nvmix.mixture.posterior.Posterior",
)  # fmt: skip
# What other rooms of the house call, and users need not.
HOUSE = {"nvmix.fitting.em.BatchEMFitter.run", "nvmix.fitting.em.BatchEMFitter.run_source"}
# What scikit-learn writes into estimators.
WRITTEN = {"set_fit_request", "set_score_request"}

SECTIONS = (
    "Parameters", "Attributes", "Returns", "Raises", "Warns", "See Also", "Notes", "References",
    "Examples",
)  # fmt: skip
HEADING = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)


class Public(NamedTuple):
    """A public object, with the class that defines it."""

    name: str
    object: object
    owner: type | None = None

    @property
    def doc(self):
        return inspect.getdoc(self.object) or ""

    @property
    def kind(self):
        if inspect.isclass(self.object):
            return "class"
        if isinstance(self.object, property):
            return "property"
        return "function" if inspect.isroutine(self.object) else "field"


def names_of(room):
    """The public names of a room that can be loaded here, and their values."""
    try:
        module = importlib.import_module(room)
    except ImportError:
        assert room in OPTIONAL
        return
    for name in module.__all__:
        try:
            value = getattr(module, name)
        except ImportError:
            assert room in OPTIONAL
            continue
        if not inspect.ismodule(value):
            yield name, value


def members_of(cls):
    """What a class or its bases in the package define without an underscore."""
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), object)
        if name.startswith("_") or name in WRITTEN or not owner.__module__.startswith("nvmix"):
            continue
        member = inspect.getattr_static(owner, name)
        # Of a class method, and of scikit-learn's available_if.
        for attribute in ("__func__", "fn"):
            member = getattr(member, attribute, member)
        yield Public(f"{owner.__module__}.{owner.__qualname__}.{name}", member, owner)


@functools.cache
def everything():
    """Every public object once."""
    named = [(f"{room}.{name}", value) for room in ROOMS for name, value in names_of(room)]
    for name in RETURNED:
        module, _, attribute = name.rpartition(".")
        named.append((name, getattr(importlib.import_module(module), attribute)))
    found = {}
    for name, value in named:
        found[id(value)] = Public(name, value)
        if inspect.isclass(value):
            found |= {member.name: member for member in members_of(value)}
    return tuple(found.values())


def of_kind(*kinds):
    return [public for public in everything() if public.kind in kinds]


def routines():
    """Functions and methods whose docstring is to be complete."""
    return [p for p in of_kind("function") if p.name not in HOUSE and not is_override(p)]


def is_override(public):
    """Whether this overrides what is documented, and says in a line what differs."""
    bases = public.owner.__mro__[1:] if public.owner and not sections(public.doc) else ()
    name = public.name.rpartition(".")[2]
    base = next((c for c in bases if name in vars(c)), None)
    if base is None:
        return False
    of_library = not base.__module__.startswith("nvmix")
    return of_library or bool(sections(inspect.getdoc(inspect.getattr_static(base, name)) or ""))


def sections(doc):
    """Bodies of the sections of a docstring, by heading."""
    parts = HEADING.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(doc, *headings):
    """Names that sections describe."""
    found = sections(doc)
    lines = "\n".join(found.get(heading, "") for heading in headings).splitlines()
    heads = [line.partition(" : ")[0] for line in lines if line and not line.startswith(" ")]
    return {name.strip(" \\*") for head in heads for name in head.split(",")}


def described_by(cls):
    """Names that the docstrings of a class and of its bases describe."""
    docs = [inspect.getdoc(c) or "" for c in cls.__mro__ if c.__module__.startswith("nvmix")]
    return set().union(*(entries(doc, "Parameters", "Attributes") for doc in docs))


def parameters(function):
    """Names of the parameters; those in the place of ``**settings`` do not count."""
    code = inspect.unwrap(function).__code__
    count = code.co_argcount + code.co_kwonlyargcount
    count += sum(bool(code.co_flags & f) for f in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    return set(code.co_varnames[:count]) - {"self", "cls"}


@functools.cache
def raises(function, *, also_inside=True):
    """Whether a function, or what it calls by name in the package, raises an error."""
    if function.__code__.co_filename.startswith("<"):  # dataclasses wrote it
        return False
    nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    if any(isinstance(node, ast.Raise) for node in nodes) or not also_inside:
        return any(isinstance(node, ast.Raise) for node in nodes)
    names = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    called = (inspect.unwrap(function).__globals__.get(name) for name in names)
    inside = (f for f in called if inspect.isfunction(f) and f.__module__.startswith("nvmix"))
    return any(raises(f) for f in inside if f is not function)


def test_every_public_name_has_a_summary():
    assert len(everything()) > 250
    for public in of_kind("class", "function", "property"):
        summary = public.doc.partition("\n\n")[0]
        assert re.fullmatch(r"\S.*[.:]", summary.replace("\n", " ")), public.name
        assert not HEADING.match(public.doc), public.name


def test_sections_are_known_and_in_order():
    for public in of_kind("class", "function"):
        found = list(sections(public.doc))
        assert found == [heading for heading in SECTIONS if heading in found], public.name


def test_parameters_are_those_of_the_signature():
    differences = {
        public.name: parameters(public.object) ^ entries(public.doc, "Parameters")
        for public in routines()
    }
    for public in of_kind("class"):
        if not issubclass(public.object, enum.Enum | BaseException):
            taken = set(inspect.signature(public.object).parameters)
            extra = entries(public.doc, "Parameters") - taken
            differences[public.name] = extra | (taken - described_by(public.object))
    assert {name: names for name, names in differences.items() if names} == {}


def test_fields_are_described_by_their_class():
    for public in of_kind("class"):
        for member in members_of(public.object):
            if member.kind == "field" and not is_override(member):
                name = member.name.rpartition(".")[2]
                assert name in described_by(public.object), member.name


def test_what_is_returned_is_described():
    for public in routines():
        returned = inspect.signature(public.object).return_annotation
        assert returned in (None, "None") or "Returns" in sections(public.doc), public.name


def test_errors_are_described():
    for public in routines():
        # Without parameters, there is nothing that what is inside could refuse.
        may_raise = raises(public.object, also_inside=bool(parameters(public.object)))
        assert not may_raise or "Raises" in sections(public.doc), public.name


def test_errors_of_constructors_are_described():
    for public in of_kind("class"):
        bases = [c for c in public.object.__mro__ if c.__module__.startswith("nvmix")]
        makers = (getattr(public.object, name, None) for name in ("__init__", "__post_init__"))
        if any(raises(maker) for maker in makers if inspect.isfunction(maker)):
            assert any("Raises" in sections(inspect.getdoc(c) or "") for c in bases), public.name


def test_there_is_an_example():
    for public in of_kind("class") + routines():
        assert ">>> " in sections(public.doc).get("Examples", ""), public.name


def test_properties_that_are_arrays_have_a_shape():
    for public in of_kind("property"):
        returned = inspect.signature(public.object.fget).return_annotation
        assert returned != "FloatArray" or re.search(r"\(\w+,( \w+)?\)", public.doc), public.name


def test_formulas_have_a_source():
    """At their head; formulas of sections describe what is there."""
    for public in of_kind("class") + routines():
        head = HEADING.split(public.doc)[0]
        if ":math:" in head or ".. math::" in head:
            assert "References" in sections(public.doc), public.name
