"""All readers."""

from tests.fuzz import foreign, stored
from tests.fuzz.reader import Reader

READERS: tuple[Reader, ...] = (*stored.READERS, *foreign.READERS)
