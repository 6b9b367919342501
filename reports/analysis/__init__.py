"""From a results view to the one frozen object whose numbers every output prints."""

from .build import analyse, input_digest
from .findings import ClaimRow
from .model import Analysis, Family, Options

__all__ = ["Analysis", "ClaimRow", "Family", "Options", "analyse", "input_digest"]
