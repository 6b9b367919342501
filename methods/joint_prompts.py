"""Joint prompts: vectors in front of the class texts and among the image's patches, trained together with cross-entropy alone.

What DAPT (arXiv 2309.03406) is without its two terms, and its nearest baseline there. With `text_length: 0` it is visual prompt tuning on
CLIP (arXiv 2203.12119, shallow), with `image_length: 0` it is CoOp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.methods.class_texts import TowerPrompting

from harness.registry import method
from harness.settings import choice, setting

if TYPE_CHECKING:
    from harness.backbones.image_text import ImageText


@method(
    "joint-prompts", paper="arXiv:2309.03406", needs=("class_texts", "patch_prompts"), tags=("vision-language", "baseline", "soft-prompt")
)
class JointPrompts(TowerPrompting):
    """text_length x text width + image_length x image width trained numbers."""

    class_text: str = setting("{}", help="text of a class; {} is its label")
    text_length: int = setting(16, at_least=0, search=choice(4, 8, 16))
    image_length: int = setting(16, at_least=0, search=choice(4, 8, 16))

    def sizes(self, backbone: ImageText) -> dict[str, tuple[int, int]]:
        wanted = {"text": (self.text_length, backbone.text_width), "image": (self.image_length, backbone.image_width)}
        return {name: size for name, size in wanted.items() if size[0]}
