"""The peer: the gateway that most teams would write in an afternoon, fairly tuned.

FastAPI, pydantic, xmltodict and SQLAlchemy. A profile is found by e-mail or phone, checked, merged and kept in SQLite,
one transaction a request, durable before the answer (WAL, synchronous=FULL). It knows two of one vendor's calls, no
update functions, no record of changes and two ways to match: it has less to do than the gateway. It runs in an
environment of its own, and imports nothing of the gateway's.
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
"""SQLite takes one writer: to wait here costs less than to be refused there and to try again."""


@event.listens_for(engine, "connect")
def durable(connection: Any, _record: Any) -> None:
    """What is committed is on the disk."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
        connection.execute(f"PRAGMA {pragma}")


Base.metadata.create_all(engine)


# --- what is asked ---


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
    """What is written; fields that nobody declared are welcome."""

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
    """Changes a profile."""
    return await answered(request, create=False)


@app.post("/api/v1.1/profiles/import/")
async def import_(request: Request) -> Response:
    """Changes a profile, or makes it."""
    return await answered(request, create=True)


async def answered(request: Request, create: bool) -> Response:
    """The answer, in the request's media type."""
    body, is_xml = await request.body(), "xml" in request.headers.get("content-type", "")
    try:
        asked = Update.model_validate(xml(body)) if is_xml else Update.model_validate_json(body)
    except (ValueError, KeyError, xmltodict.expat.ExpatError) as reason:
        return reply(is_xml, 400, str(reason))
    if asked.token not in TOKENS:
        return reply(is_xml, 403, "unknown token")
    return reply(is_xml, *await run_in_threadpool(kept, asked, create))


def xml(body: bytes) -> Any:
    """A body in XML as the same in JSON would be."""
    return xmltodict.parse(body, xml_attribs=False, force_list=LISTS)["xml"]


def kept(asked: Update, create: bool) -> tuple[int, str, str | None]:
    """Status, text and id, once the change is on the disk."""
    with writing, sessions.begin() as session:
        profile = found(session, asked)
        if profile is None and not create:
            return 404, "there is no such profile", None
        if profile is None:
            profile = Profile(id=uuid4().hex[:24], data={})
            session.add(profile)
        profile.data = profile.data | asked.data.model_dump(exclude_unset=True)
        profile.email = profile.data.get("email")
        profile.phone = next(iter(profile.data.get("phones") or ()), None)
    return 0, "Successful operation", profile.id


def found(session: Session, asked: Update) -> Profile | None:
    """The profile that is meant."""
    column, value = (Profile.email, asked.email) if asked.matching == "email" else (Profile.phone, asked.phone)
    return session.scalars(select(Profile).where(column == value)).first()


def reply(is_xml: bool, error: int, text: str, profile_id: str | None = None) -> Response:
    """An answer in the vendor's words."""
    tree = {"error": error, "error_text": text, **({"profile_id": profile_id} if profile_id else {})}
    if is_xml:
        return Response(xmltodict.unparse({"xml": tree}), error or 200, media_type="application/xml")
    return Response(json.dumps(tree), error or 200, media_type="application/json")
