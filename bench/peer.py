"""The FastAPI peer: a gateway for one vendor's update and import, written in an afternoon and tuned.

FastAPI, pydantic, xmltodict and SQLAlchemy. It finds a profile by e-mail or phone, validates the request, merges it,
and stores the profile in SQLite before it responds (WAL, synchronous=FULL), with one transaction a request. It has no
update functions, dry runs, journal or other vendors: it does less than the gateway. It runs in its own environment, and
imports nothing of the gateway.
"""

import json
import os
from threading import Lock
from typing import Any
from uuid import uuid4

import xmltodict
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, String, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

TOKENS = {"abcdefghijklmnqrstuvwxyz"}
LISTS = ("phones", "subscriptions", "cats")


# --- the store ---


class Base(DeclarativeBase):
    """Every table."""


class Profile(Base):
    """One person."""

    __tablename__ = "profiles"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    email: Mapped[str | None] = mapped_column(String, unique=True)
    phone: Mapped[str | None] = mapped_column(String, index=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


engine = create_engine(os.environ["PEER_STORE"])
sessions = sessionmaker(engine, expire_on_commit=False)
writing = Lock()
"""SQLite has one writer: waiting here costs less than a busy error and another attempt."""


@event.listens_for(engine, "connect")
def durable(connection: Any, _record: Any) -> None:
    """Sync each commit to the disk."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
        connection.execute(f"PRAGMA {pragma}")


Base.metadata.create_all(engine)


# --- the requests ---


class Subscription(BaseModel):
    """One subscription of a profile."""

    model_config = ConfigDict(extra="forbid")
    channel: str
    resource_id: int | None = None
    email: str | None = None
    phone: str | None = None
    provider: str | None = None
    subscription_id: str | None = None
    status: str | None = None
    priority: int | None = None
    custom_fields: dict[str, Any] | None = None
    cats: list[str] | None = None
    cc_data: dict[str, Any] | None = None


class Data(BaseModel):
    """The members of a profile; others are accepted."""

    model_config = ConfigDict(extra="allow")
    email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$")
    phones: list[str] | None = None
    subscriptions: list[Subscription] | None = None


class Update(BaseModel):
    """A request."""

    token: str
    db_id: int
    matching: str = Field("email", pattern="^(email|phone)$")
    email: str | None = None
    phone: str | None = None
    detect_geo: bool = False
    data: Data


# --- the calls ---

app = FastAPI()


@app.post("/api/v1.1/profiles/update/")
async def update(request: Request) -> Response:
    """Update a profile."""
    return await respond(request, create=False)


@app.post("/api/v1.1/profiles/import/")
async def import_(request: Request) -> Response:
    """Update a profile, or create it."""
    return await respond(request, create=True)


async def respond(request: Request, create: bool) -> Response:
    """The response, in the media type of the request."""
    body, is_xml = await request.body(), "xml" in request.headers.get("content-type", "")
    try:
        message = Update.model_validate(xml(body)) if is_xml else Update.model_validate_json(body)
    except (ValueError, KeyError, xmltodict.expat.ExpatError) as reason:
        return reply(is_xml, 400, str(reason))
    if message.token not in TOKENS:
        return reply(is_xml, 403, "unknown token")
    return reply(is_xml, *await run_in_threadpool(store, message, create))


def xml(body: bytes) -> Any:
    """The tree of an XML body, as the same body in JSON has it."""
    return xmltodict.parse(body, xml_attribs=False, force_list=LISTS)["xml"]


def store(message: Update, create: bool) -> tuple[int, str, str | None]:
    """Status, text and id, after the change is on the disk."""
    with writing, sessions.begin() as session:
        profile = found(session, message)
        if profile is None and not create:
            return 404, "profile not found", None
        if profile is None:
            profile = Profile(id=uuid4().hex[:24], data={})
            session.add(profile)
        profile.data = profile.data | message.data.model_dump(exclude_unset=True)
        profile.email = profile.data.get("email")
        profile.phone = next(iter(profile.data.get("phones") or ()), None)
    return 0, "Successful operation", profile.id


def found(session: Session, message: Update) -> Profile | None:
    """The profile that the request names."""
    column, value = (Profile.email, message.email) if message.matching == "email" else (Profile.phone, message.phone)
    return session.scalars(select(Profile).where(column == value)).first()


def reply(is_xml: bool, error: int, text: str, profile_id: str | None = None) -> Response:
    """A response in the vendor's format."""
    tree = {"error": error, "error_text": text, **({"profile_id": profile_id} if profile_id else {})}
    if is_xml:
        return Response(xmltodict.unparse({"xml": tree}), error or 200, media_type="application/xml")
    return Response(json.dumps(tree), error or 200, media_type="application/json")
