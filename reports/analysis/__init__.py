"""From a results view to the one frozen object whose numbers every output prints."""

from .build import analyse, input_digest
from .model import Analysis, ClaimRow, Family, Options

__all__ = ["Analysis", "ClaimRow", "Family", "Options", "analyse", "input_digest"]
