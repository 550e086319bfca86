"""Canonical outcomes to Klaviyo's replies: resources of JSON:API, with links."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.listing import sorted_value
from gateway.core.model import Created, Job, Profile
from gateway.core.pointer import pointer_to
from gateway.dialects import Answer, Reply
from gateway.dialects.klaviyo.errors import told
from gateway.dialects.klaviyo.fields import shown
from gateway.dialects.klaviyo.links import page_link
from gateway.dialects.klaviyo.times import shown_time


def accepted(_answer: Answer) -> Reply:
    """202 and no body: what the vendor does later, this gateway has done."""
    return Reply(202, None)


def one(answer: Answer) -> Reply:
    """A profile; 201 where the request made it."""
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return Reply(201 if isinstance(profile, Created) else 200, _single(_profile(profile, answer.about)))


def many(answer: Answer) -> Reply:
    """A page of profiles."""
    profiles = [each for each in answer.outcomes if isinstance(each, Profile)]
    return _page(answer.about, profiles, lambda each: _profile(each, answer.about), sorted_value)


def merged(answer: Answer) -> Reply:
    """The id of the profile that took in the others."""
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    resource = _profile(profile, answer.about)
    return Reply(201, _single({name: resource[name] for name in ("type", "id", "links")}))


def _single(resource: dict[str, Any]) -> dict[str, Any]:
    return {"data": resource, "links": resource["links"]}


def _profile(profile: Profile, about: Mapping[str, Any]) -> dict[str, Any]:
    link = f"{about['base']}/api/profiles/{profile.id}"
    attributes = _sparse(shown(profile, about["additional"]), (*about["fields"], *about["additional"]), about["fields"])
    related = {name: {"links": _related(link, name)} for name in ("lists", "segments", "push-tokens")}
    parts = {"attributes": attributes, "relationships": related, "links": {"self": link}}
    return {"type": "profile", "id": profile.id, **parts}


def _related(link: str, name: str) -> dict[str, str]:
    return {"self": f"{link}/relationships/{name}", "related": f"{link}/{name}"}


def _sparse(attributes: dict[str, Any], names: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
    """The attributes that a sparse fieldset names, all of them without one; `location.city` is the one member."""
    if not fields:
        return attributes
    kept: dict[str, Any] = {}
    for name in names:
        first, _, member = name.partition(".")
        if first == "location" and member and kept.get("location") is not attributes["location"]:
            kept["location"] = {**kept.get("location", {}), member: attributes["location"][member]}
        elif first in attributes:
            kept[first] = attributes[first]
    return kept


# --- pages ---


def _page(
    about: Mapping[str, Any],
    found: Sequence[Any],
    resource: Callable[[Any], dict[str, Any]],
    sorted_value: Callable[[Any, str], Any],
) -> Reply:
    """A page, and the links to its neighbours. What was read backwards is turned round."""
    rows, more = found[: about["size"]], len(found) > about["size"]
    rows = rows[::-1] if about["backwards"] else rows
    links = {"self": about["base"] + about["target"]}
    for direction, row, is_there in (
        ("next", rows[-1:], about["backwards"] or more),
        ("prev", rows[:1], more if about["backwards"] else not about["first"]),
    ):
        for end in row if is_there else ():
            links[direction] = page_link(about, direction, about["sort"], sorted_value(end, about["sort"]), end.id)
    return Reply(200, {"data": [resource(row) for row in rows], "links": links})


def _slice(about: Mapping[str, Any], rows: Sequence[dict[str, Any]], total: int) -> Reply:
    """A page of what came of a job, which is counted."""
    links = {"self": about["base"] + about["target"]}
    skipped, size = about["skip"], about["size"]
    if skipped + size < total:
        links["next"] = page_link(about, "next", "number", skipped + size, "")
    if skipped:
        links["prev"] = page_link(about, "prev", "number", max(0, skipped - size), "")
    return Reply(200, {"data": list(rows), "links": links})


# --- jobs ---


def spawned(answer: Answer) -> Reply:
    """202 with the job, whose work is done."""
    return Reply(202, _single(_job(_the_job(answer), answer.about)))


def job(answer: Answer) -> Reply:
    return Reply(200, _single(_job(_the_job(answer), answer.about)))


def jobs(answer: Answer) -> Reply:
    """A page of jobs."""
    found = [each for each in answer.outcomes if isinstance(each, Job) and not answer.about["hidden"]]
    return _page(answer.about, found, lambda each: _job(each, answer.about), lambda each, _sort: each.created)


def job_errors(answer: Answer) -> Reply:
    """Why profiles of a job were refused, each reason with the payload that it is about."""
    job, about = _the_job(answer), answer.about
    found = ((row, number, fault) for row in job.failures for number, fault in enumerate(row["faults"]))
    errors = [_import_error(job, *each) for each in found]
    return _slice(about, errors[about["skip"] :][: about["size"]], len(errors))


def job_profiles(answer: Answer) -> Reply:
    """The profiles of a job, as they are now; those that were removed since then are left out."""
    job, *profiles = answer.outcomes
    assert isinstance(job, Job)
    rows = [_profile(each, answer.about) for each in profiles if isinstance(each, Profile)]
    return _slice(answer.about, rows, len(job.profiles))


def job_profile_ids(answer: Answer) -> Reply:
    job, about = _the_job(answer), answer.about
    ids = job.profiles[about["skip"] :][: about["size"]]
    return _slice(about, [{"type": "profile", "id": id} for id in ids], len(job.profiles))


def _the_job(answer: Answer) -> Job:
    job = answer.outcomes[0]
    assert isinstance(job, Job)
    return job


def _job(job: Job, about: Mapping[str, Any]) -> dict[str, Any]:
    link = f"{about['base']}/api/profile-bulk-import-jobs/{job.id}"
    time = shown_time(job.created)
    attributes = {
        "status": "complete",
        "created_at": time,
        "total_count": job.total,
        "completed_count": job.total - job.failed,
        "failed_count": job.failed,
        "completed_at": time,
        "expires_at": None,
        "started_at": time,
    }
    related = {
        "profiles": {"links": _related(link, "profiles")},
        "import-errors": {"links": {"related": f"{link}/import-errors"}},
    }
    parts = {"attributes": attributes, "relationships": related, "links": {"self": link}}
    return {"type": "profile-bulk-import-job", "id": job.id, **parts}


def _import_error(job: Job, row: Mapping[str, Any], number: int, fault: Mapping[str, str]) -> dict[str, Any]:
    error = told(Fault(**fault))
    pointer = error["source"].get("pointer", "/data").removeprefix("/data")
    source = {"pointer": f"{pointer_to('data', 'attributes', 'profiles', 'data', row['index'])}{pointer}"}
    attributes = {**error, "source": source, "original_payload": row["sent"]}
    return {"type": "import-error", "id": f"{job.id}-{row['index']}-{number}", "attributes": attributes}
