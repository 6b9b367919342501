"""Judging what papers claim: exact and cost claims at once, claims about scores over seeds, and the page that shows them all."""

from .judge import Verdict as Verdict
from .judge import judge as judge
from .known import Known as Known
from .known import known_claims as known_claims
