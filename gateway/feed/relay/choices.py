"""Choices of messages, such as of topics. Their opt-outs are sent as those of subscriptions are."""

from gateway.core.apply import merge_patch
from gateway.core.model import Document, JournalEntry
from gateway.dialects.outgoing import Outgoing
from gateway.feed.relay.states import nested


def new_opt_outs(entry: JournalEntry, outgoing: Outgoing) -> Document:
    """Return the choices that an entry touches, as they are after it, if there is an opt-out among them; else {}."""
    choices: Document = {}
    for each in entry.members if outgoing.choices else ():
        after = nested(each.pointer, each.after)
        choices = merge_patch(choices, {name: after[name] for name in outgoing.choices if name in after})
    return choices if outgoing.opts_out(choices) else {}
