"""CoOp: context vectors in front of the class texts, trained with cross-entropy (Zhou et al. 2022, arXiv 2109.01134).

One context is shared by all classes and the class name stands at the end: the paper's default. Both towers stay frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.methods.class_texts import TowerPrompting

from harness.registry import method
from harness.settings import choice, setting

if TYPE_CHECKING:
    from harness.backbones.image_text import ImageText


@method("coop", paper="arXiv:2109.01134", needs=("class_texts",), tags=("vision-language", "baseline", "soft-prompt"))
class CoOp(TowerPrompting):
    """length x text width trained numbers. The class text is the label alone: the context takes the place of "a photo of"."""

    class_text: str = setting("{}", help="text of a class; {} is its label")
    length: int = setting(16, at_least=1, search=choice(4, 8, 16), help="context vectors")

    def sizes(self, backbone: ImageText) -> dict[str, tuple[int, int]]:
        return {"text": (self.length, backbone.text_width)}
