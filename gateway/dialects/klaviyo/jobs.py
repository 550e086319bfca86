"""Jobs as resources: what each kind of them shows, and what came of one. Every job is complete once it can be seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Job, Profile
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.errors import told
from gateway.dialects.klaviyo.jsonapi.cursors import page, related_links, single, slice_of
from gateway.dialects.klaviyo.lists import identifiers_of_lists, lists_of
from gateway.dialects.klaviyo.replies import resource_of
from gateway.dialects.klaviyo.times import shown_time
from gateway.dialects.protocol import Reply, Result


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of jobs: its name in the canonical form, and the vendor's type, attributes and relationships."""

    name: str
    type: str
    attributes: tuple[str, ...]
    related: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"/api/{self.type}s"


_COUNTED = ("status", "created_at", "total_count", "completed_count", "completed_at")
IMPORTS = Kind(
    "import",
    "profile-bulk-import-job",
    (*_COUNTED, "failed_count", "expires_at", "started_at"),
    ("lists", "profiles", "import-errors"),
)
SUPPRESSIONS = Kind("suppress", "profile-suppression-bulk-create-job", (*_COUNTED, "skipped_count"))
UNSUPPRESSIONS = Kind("unsuppress", "profile-suppression-bulk-delete-job", (*_COUNTED, "skipped_count"))


def spawned(kind: Kind) -> Callable[[Result], Reply]:
    """Writes 202 with the job, whose work is done."""
    return lambda answer: Reply(202, single(_resource(kind, _the_job(answer), answer.context)))


def job(kind: Kind) -> Callable[[Result], Reply]:
    """Writes one job."""
    return lambda answer: Reply(200, single(_resource(kind, _the_job(answer), answer.context)))


def jobs(kind: Kind) -> Callable[[Result], Reply]:
    """Writes a page of jobs."""

    def write(answer: Result) -> Reply:
        found = [each for each in answer.outcomes if isinstance(each, Job) and not answer.context["hidden"]]
        return page(
            answer.context, found, lambda each: _resource(kind, each, answer.context), lambda each, _sort: each.created
        )

    return write


def errors(answer: Result) -> Reply:
    """Why profiles of a job were refused, each reason with the payload that it is about."""
    job, about = _the_job(answer), answer.context
    found = ((row, number, fault) for row in job.failures for number, fault in enumerate(row["faults"]))
    told_of = [_import_error(job, *each) for each in found]
    return slice_of(about, told_of[about["skip"] :][: about["size"]], len(told_of))


def profiles(answer: Result) -> Reply:
    """The profiles of a job, as they are now; those that were removed since then are left out."""
    job, *found = answer.outcomes
    assert isinstance(job, Job)
    rows = [resource_of(each, answer.context) for each in found if isinstance(each, Profile)]
    return slice_of(answer.context, rows, len(job.profiles))


def profile_ids(answer: Result) -> Reply:
    job, about = _the_job(answer), answer.context
    ids = job.profiles[about["skip"] :][: about["size"]]
    return slice_of(about, [{"type": "profile", "id": id} for id in ids], len(job.profiles))


def lists(answer: Result) -> Reply:
    """The lists that the profiles of a job were put on."""
    return lists_of(answer, _the_job(answer).lists)


def list_ids(answer: Result) -> Reply:
    return identifiers_of_lists(answer, _the_job(answer).lists)


def _the_job(answer: Result) -> Job:
    job = answer.outcomes[0]
    assert isinstance(job, Job)
    return job


def _resource(kind: Kind, job: Job, about: Mapping[str, Any]) -> dict[str, Any]:
    link = f"{about['base']}{kind.path}/{job.id}"
    wanted = about["fields of job"] or kind.attributes
    attributes = {name: value for name, value in _attributes(job).items() if name in kind.attributes and name in wanted}
    related = {name: {"links": related_links(link, name)} for name in kind.related}
    if "import-errors" in related:
        del related["import-errors"]["links"]["self"]
    parts = {"attributes": attributes, "relationships": related, "links": {"self": link}}
    return {"type": kind.type, "id": job.id, **parts}


def _attributes(job: Job) -> dict[str, Any]:
    """Every attribute that jobs of any kind have."""
    time = shown_time(job.created)
    return {
        "status": "complete",
        "created_at": time,
        "total_count": job.total,
        "completed_count": job.total - job.failed,
        "failed_count": job.failed,
        "skipped_count": job.failed,
        "completed_at": time,
        "expires_at": None,
        "started_at": time,
    }


def _import_error(job: Job, row: Mapping[str, Any], number: int, fault: Mapping[str, str]) -> dict[str, Any]:
    error = told(Fault(**fault))
    pointer = error["source"].get("pointer", "/data").removeprefix("/data")
    source = {"pointer": f"{join_pointer('data', 'attributes', 'profiles', 'data', row['index'])}{pointer}"}
    attributes = {**error, "source": source, "original_payload": row["sent"]}
    return {"type": "import-error", "id": f"{job.id}-{row['index']}-{number}", "attributes": attributes}
