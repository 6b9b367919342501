"""Shapes in pictures drawn in other styles, or damaged: models are adapted on plain pictures and tested on each shift, a cluster of rows."""

from __future__ import annotations

from harness.registry import task
from harness.settings import setting

from .scene_things import SceneShape
from .scenes.corruptions import CORRUPTIONS
from .scenes.render import Picture, render
from .scenes.scene import Scene
from .scenes.styles import STYLES


@task("scene-shape-styles", tags=("vision", "scenes", "shift"))
class SceneShapeStyles(SceneShape):
    """Shapes as in `scene-shape`, tested as sketches, by night, in pastel, on posters, before clutter and as negatives."""

    test_splits = tuple(name for name in STYLES if name != "plain")
    clustered = True

    def picture(self, scene: Scene, split: str) -> Picture:
        return render(scene, style=split if split in STYLES else "plain")


@task("scene-shape-corrupted", tags=("vision", "scenes", "shift"))
class SceneShapeCorrupted(SceneShape):
    """Shapes as in `scene-shape`, tested under ten kinds of damage to the picture."""

    test_splits = tuple(CORRUPTIONS)
    clustered = True

    severity: int = setting(3, at_least=1, at_most=5, help="1 is mild")

    def picture(self, scene: Scene, split: str) -> Picture:
        return render(scene, corruption=split if split in CORRUPTIONS else None, severity=self.severity)
