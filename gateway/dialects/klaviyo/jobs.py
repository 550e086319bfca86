"""Jobs as resources. The gateway completes a job within its request, so that each job is complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.model import Job
from gateway.dialects.klaviyo.jsonapi.cursors import OFFSET, parse_cursor, parse_page_size, render_page
from gateway.dialects.klaviyo.jsonapi.filters import EQUALITY_OPERATORS, parse_filter
from gateway.dialects.klaviyo.jsonapi.links import (
    add_included,
    add_linkage,
    link_relationships,
    parse_field_names,
    parse_parameters,
    render_resource,
    unknown_field,
)
from gateway.dialects.klaviyo.lists import list_resources
from gateway.dialects.klaviyo.pages import parse_page, parse_query
from gateway.dialects.klaviyo.requests import profile_context
from gateway.dialects.klaviyo.times import render_time
from gateway.dialects.protocol import ParsedRequest, Reply, Request, Result

DEFAULT_JOB_KIND = "import"
"""The kind of jobs that a query without a kind returns."""


@dataclass(frozen=True, slots=True)
class JobType:
    """A type of jobs: its canonical kind, and the vendor's type, attributes and relationships."""

    kind: str
    type: str
    attributes: tuple[str, ...]
    relationships: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the type's calls."""
        return f"/api/{self.type}s"

    def parse_context(self, request: Request, includable: Sequence[str] = ()) -> dict[str, Any]:
        """Return the context of a reply with jobs: that of profiles, and the requested attributes of jobs."""
        parameter = f"fields[{self.type}]"
        names = parse_field_names(parse_parameters(request), parameter)
        for name in names:
            if name not in ("id", *self.attributes):
                raise unknown_field(parameter, name, self.type)
        return {**profile_context(request, includable), "job_fields": names}

    def parse_list(self, request: Request) -> ParsedRequest:
        """Parse a GET of all jobs, the latest first by default."""
        parameters = parse_parameters(request)
        conditions = parse_filter(parameters.get("filter", ""), {"status": EQUALITY_OPERATORS})
        is_hidden = any("complete" not in condition.values for condition in conditions)
        context = {**self.parse_context(request), "is_hidden": is_hidden}
        sort = parameters.get("sort", "-created_at").replace("created_at", "created")
        return parse_page({**parameters, "sort": sort}, self._query(), context, "created")

    def parse_search(self, request: Request) -> ParsedRequest:
        """Parse a GET of one job, which may include its lists."""
        return self.parse_job(request, ("lists",) if "lists" in self.relationships else ())

    def parse_job(self, request: Request, includable: Sequence[str] = ()) -> ParsedRequest:
        """Parse a GET of a page of what a job resulted in."""
        parameters = parse_parameters(request)
        cursor = parse_cursor(parameters, OFFSET, int)
        skip, size = cursor[1] if cursor else 0, parse_page_size(parameters)
        query = {"job": request.path["id"], "offset": skip, "limit": size, **self._query()}
        return parse_query(query, {**self.parse_context(request, includable), "skip": skip, "size": size})

    def _query(self) -> dict[str, Any]:
        return {} if self.kind == DEFAULT_JOB_KIND else {"kind": self.kind}

    def render_accepted(self, result: Result) -> Reply:
        """Render 202 with the job that the request created."""
        return self._render(result, 202)

    def render_job(self, result: Result) -> Reply:
        """Render 200 with one job."""
        reply = self._render(result, 200)
        if not result.context["include"]:
            return reply
        lists = list_resources(job_of(result).lists, result.database, result.context["base"])
        return add_included(
            Reply(200, {**reply.tree, "data": add_linkage(reply.tree["data"], {"lists": lists})}), lists
        )

    def render_list(self, result: Result) -> Reply:
        """Render a page of jobs. It is empty if the filter requires another status than complete."""
        context = result.context
        jobs = [each for each in result.outcomes if isinstance(each, Job) and not context["is_hidden"]]
        return render_page(context, jobs, lambda job: self._resource(job, context), lambda job, _sort: job.created)

    def _render(self, result: Result, status: int) -> Reply:
        return render_resource(self._resource(job_of(result), result.context), status)

    def _resource(self, job: Job, context: Mapping[str, Any]) -> dict[str, Any]:
        link = f"{context['base']}{self.path}/{job.id}"
        names = context["job_fields"] or self.attributes
        relationships = link_relationships(link, self.relationships)
        if IMPORT_ERRORS in relationships:
            del relationships[IMPORT_ERRORS]["links"]["self"]
        return {
            "type": self.type,
            "id": job.id,
            "attributes": {
                name: value for name, value in _attributes(job).items() if name in self.attributes and name in names
            },
            "relationships": relationships,
            "links": {"self": link},
        }


IMPORT_ERRORS = "import-errors"
"""The relationship that has no link of its own, only one to its resources."""

_COUNTS = ("status", "created_at", "total_count", "completed_count", "completed_at")
IMPORTS = JobType(
    DEFAULT_JOB_KIND,
    "profile-bulk-import-job",
    (*_COUNTS, "failed_count", "expires_at", "started_at"),
    ("lists", "profiles", IMPORT_ERRORS),
)
SUPPRESSIONS = JobType("suppress", "profile-suppression-bulk-create-job", (*_COUNTS, "skipped_count"))
UNSUPPRESSIONS = JobType("unsuppress", "profile-suppression-bulk-delete-job", (*_COUNTS, "skipped_count"))


def job_of(result: Result) -> Job:
    """Return the job of a result, which is the first outcome."""
    job = result.outcomes[0]
    assert isinstance(job, Job)
    return job


def _attributes(job: Job) -> dict[str, Any]:
    """Return the attributes of a job of any type."""
    time = render_time(job.created)
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
