"""The erasure of a person: what it removes, then the erasure itself."""

from gateway.console.masking import MASK
from gateway.console.pages import HtmlPage, PageResult, Redirection, Visit
from gateway.core.erasure import ErasureEdit
from gateway.core.matching import identities, identities_by_id
from gateway.core.model import Change
from gateway.core.rights import DELETE
from gateway.schema.compiled import CompiledSchema
from gateway.service.dry_runs import dry_run
from gateway.service.erasures import erase_person


async def show_erasure(visit: Visit) -> PageResult:
    """Return what an erasure would remove, by running it without effect. Raises `Refusal`: profile_not_found."""
    visit.require(DELETE)
    id, context, origin = visit.form.text("id"), visit.context, visit.origin()
    key, tables = identities_by_id(id), CompiledSchema(visit.database, {}).tables
    edit = ErasureEdit(key, tables, context.pseudonym, origin.time)
    result = await dry_run(context.store, Change(visit.database.id, key, edit, origin))
    removed = [write.before for write in result.writes if write.before and write.after is None]
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
    return HtmlPage("erasure", {"id": id, "rows": rows, "keeps_opt_outs": context.pseudonym is not None})


async def erase(visit: Visit) -> PageResult:
    """Erase the person of a profile. Raises `Refusal`: profile_not_found."""
    visit.require(DELETE)
    context, key = visit.context, identities_by_id(visit.form.text("id"))
    await erase_person(context.store, visit.database, key, visit.origin(), context.pseudonym)
    return Redirection("people")
