"""The sections of the page in order. Another modality adds its own to this list, or passes a longer one to `render_page`."""

from __future__ import annotations

from ..view import Section
from .board import leaderboard, verdict
from .closing import claims, failures, provenance
from .compare import critical_difference, forest, matrix
from .cost import budget, cost, curves
from .models import models
from .rank import heat, profiles
from .shown import pictures, streams
from .variance import power, templates, variance

SECTIONS: tuple[Section, ...] = (
    Section("verdict", "What was asked, and the verdict", verdict, short="Verdict"),
    Section("leaderboard", "Leaderboard", leaderboard),
    Section("forest", "Differences to a baseline", forest, short="Baseline"),
    Section("pairs", "Every pair", matrix, short="Pairs"),
    Section("critical", "Critical differences", critical_difference, short="Critical difference"),
    Section("ranks", "How stable the places are", heat, short="Ranks"),
    Section("profiles", "Performance profiles", profiles, short="Profiles"),
    Section("variance", "Where the variance comes from, and what to run next", variance, short="Variance"),
    Section("templates", "How much the template matters", templates, short="Templates"),
    Section("curves", "Learning curves", curves, short="Curves"),
    Section("stream", "Along the test stream", streams, short="Stream"),
    Section("pictures", "Pictures", pictures),
    Section("cost", "Score against cost", cost, short="Cost"),
    Section("budget", "Tuning budget, and dev against test", budget, short="Budget"),
    Section("power", "What could have been shown", power, short="Power"),
    Section("models", "The same question under other models", models, short="Models"),
    Section("claims", "Claims of the papers", claims, scope="page", short="Claims"),
    Section("failures", "Failures and exclusions", failures, short="Failures"),
    Section("provenance", "Provenance, and how to make this again", provenance, scope="page", short="Provenance"),
)
