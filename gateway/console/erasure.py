"""The erasure of a person: what it removes, then the erasure itself."""

from gateway.console.masking import MASK
from gateway.console.pages import HtmlPage, PageResult, Redirection, Visit
from gateway.console.recorder import NAME
from gateway.core.edit_sequence import DryRunResult, Overlay, dry_run_edit
from gateway.core.erasure import ErasureEdit
from gateway.core.faults import Refusal
from gateway.core.matching import identities, identities_by_id
from gateway.core.model import DELETE, Change, EditResult, Origin
from gateway.schema.compiled import CompiledSchema
from gateway.service.erasures import erase_person
from gateway.service.updates import apply
from gateway.stores.rows import document_text


async def show_erasure(visit: Visit) -> PageResult:
    """Return what an erasure would remove, by running it without effect. Raises `Refusal`: profile_not_found."""
    visit.require(DELETE)
    id, database = visit.form.text("id"), visit.database
    tables = CompiledSchema(database, {}).tables
    removed = [write.before for write in (await _dry_run(visit, id)).writes if write.before and write.after is None]
    rows = [
        {
            "id": profile.id,
            "version": profile.version,
            "identities": sorted(
                (kind, value if visit.may_read else MASK) for kind, value in identities(profile.document, tables)
            ),
        }
        for profile in removed
    ]
    return HtmlPage("erasure", {"id": id, "rows": rows, "keeps_opt_outs": visit.context.pseudonym is not None})


async def erase(visit: Visit) -> PageResult:
    """Erase the person of a profile. Raises `Refusal`: profile_not_found."""
    visit.require(DELETE)
    context, key = visit.context, identities_by_id(visit.form.text("id"))
    await erase_person(context.store, visit.database, key, _origin(visit), context.pseudonym)
    return Redirection("people")


async def _dry_run(visit: Visit, id: str) -> EditResult:
    """Return the result of an erasure that has no effect. Raises `Refusal`."""
    context, key, origin = visit.context, identities_by_id(id), _origin(visit)
    edit = ErasureEdit(key, CompiledSchema(visit.database, {}).tables, context.pseudonym, origin.time)
    change = Change(visit.database.id, key, dry_run_edit([edit], Overlay(), document_text), origin)
    result = await apply(context.store, change)
    assert isinstance(result, DryRunResult)
    [outcome] = result.outcomes
    if isinstance(outcome, Refusal):
        raise outcome.copy()
    return outcome


def _origin(visit: Visit) -> Origin:
    return Origin(visit.token.id, NAME, visit.context.now(), request=visit.message.id)
