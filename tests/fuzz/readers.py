"""All readers."""

from tests.fuzz import audits, foreign, stored
from tests.fuzz.reader import Reader

READERS: tuple[Reader, ...] = (*stored.READERS, *audits.READERS, *foreign.READERS)
