"""Results as JUnit XML, the form that CI servers read. Pure."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from gateway.testkit.runner import BROKEN, FAILED, SKIPPED, CaseResult

_ELEMENTS = {FAILED: "failure", BROKEN: "error", SKIPPED: "skipped"}
_COUNTS = {"failures": FAILED, "errors": BROKEN, "skipped": SKIPPED}
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[CaseResult]) -> bytes:
    """Return one suite with a test case for each result."""
    counts = {name: str(sum(each.outcome == outcome for each in results)) for name, outcome in _COUNTS.items()}
    attributes = {"name": "profile-gateway check", "tests": str(len(results)), **counts, "time": _seconds(results)}
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", attributes)
    for each in results:
        test = {"classname": str(each.folder.parent), "name": each.name, "time": _seconds([each])}
        _add_messages(ElementTree.SubElement(suite, "testcase", test), each)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_messages(element: ElementTree.Element, result: CaseResult) -> None:
    if name := _ELEMENTS.get(result.outcome):
        lines = [_NOT_IN_XML.sub("\ufffd", line) for line in result.messages]
        ElementTree.SubElement(element, name, {"message": lines[0]}).text = "\n".join(lines)


def _seconds(results: Sequence[CaseResult]) -> str:
    return f"{sum(each.seconds for each in results):.3f}"
