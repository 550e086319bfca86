"""The shapes of requests that are measured, with their goals: a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from bench import bodies, vendor_bodies

Requests = Callable[[Sequence[int]], Iterable[bytes]]
"""Requests about the profiles of these numbers."""

Peer = Literal["fastify", "fastapi"]


@dataclass(frozen=True)
class Shape:
    """One kind of request."""

    title: str
    requests: Requests
    share: float
    """Goal: the gateway's rate, divided by the floor's."""
    prepare: Requests | None = None
    """Requests that create the profiles beforehand; None where the requests themselves create new ones."""
    media: Literal["json", "xml"] = "json"
    peers: Mapping[Peer, float | None] = field(default_factory=dict)
    """The peers that accept such requests, each with the goal for the gateway's rate divided by its rate."""


SHAPES: Mapping[str, Sequence[Shape]] = {
    "updates": (
        Shape(
            "JSON update",
            partial(bodies.updates, "json"),
            0.38,
            partial(bodies.imports, "json"),
            peers={"fastify": 1.2, "fastapi": None},
        ),
        Shape(
            "XML update",
            partial(bodies.updates, "xml"),
            0.35,
            partial(bodies.imports, "xml"),
            "xml",
            {"fastify": 1.7, "fastapi": None},
        ),
    ),
    "phones": (
        Shape(
            "JSON update of the phone",
            partial(bodies.phone_changes, "json"),
            0.30,
            partial(bodies.imports, "json"),
            peers={"fastify": None},
        ),
        Shape(
            "XML update of the phone",
            partial(bodies.phone_changes, "xml"),
            0.28,
            partial(bodies.imports, "xml"),
            "xml",
            {"fastify": None},
        ),
    ),
    "creations": (
        Shape("JSON creation by import", partial(bodies.imports, "json"), 0.25, peers={"fastify": None}),
        Shape("XML creation by import", partial(bodies.imports, "xml"), 0.23, None, "xml", {"fastify": None}),
    ),
    "functions": (
        Shape("JSON update by six functions", partial(bodies.functions, "json"), 0.30, partial(bodies.imports, "json")),
        Shape(
            "XML update by six functions", partial(bodies.functions, "xml"), 0.28, partial(bodies.imports, "xml"), "xml"
        ),
    ),
    "vendors": (
        Shape("Courier POST", vendor_bodies.courier_posts, 0.30, vendor_bodies.courier_posts),
        Shape("Klaviyo profile-import", vendor_bodies.klaviyo_imports, 0.30, vendor_bodies.klaviyo_imports),
        Shape(
            "Klaviyo client profile", vendor_bodies.klaviyo_client_profiles, 0.30, vendor_bodies.klaviyo_client_profiles
        ),
    ),
    "reads": (
        Shape("profiles/get", partial(bodies.gets, "json"), 0.40, partial(bodies.imports, "json")),
        Shape("Courier GET", vendor_bodies.courier_gets, 0.40, vendor_bodies.courier_posts),
    ),
}
"""By topic; the shapes of a topic use one store."""
