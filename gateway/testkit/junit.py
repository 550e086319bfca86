"""Outcomes as JUnit XML, the form that CI servers read. Pure."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from gateway.testkit.runner import BROKEN, FAILED, SKIPPED, Outcome

_ELEMENTS = {FAILED: "failure", BROKEN: "error", SKIPPED: "skipped"}
_NOT_CARRIED = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """One suite with a test case for each outcome."""
    counts = {
        name: str(sum(each.kind == kind for each in outcomes))
        for name, kind in (("failures", FAILED), ("errors", BROKEN), ("skipped", SKIPPED))
    }
    told = {"name": "profile-gateway check", "tests": str(len(outcomes)), **counts, "time": _seconds(outcomes)}
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", told)
    for each in outcomes:
        named = {"classname": str(each.folder.parent), "name": each.name, "time": _seconds([each])}
        _tell(ElementTree.SubElement(suite, "testcase", named), each)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _tell(element: ElementTree.Element, outcome: Outcome) -> None:
    if name := _ELEMENTS.get(outcome.kind):
        lines = [_NOT_CARRIED.sub("\ufffd", line) for line in outcome.told]
        ElementTree.SubElement(element, name, {"message": lines[0]}).text = "\n".join(lines)


def _seconds(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(each.seconds for each in outcomes):.3f}"
