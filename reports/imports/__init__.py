"""Results from elsewhere as rows of the results view: marked as imported, never a cache hit."""

from .frame import Imported, complete
from .helm import read_helm
from .lm_eval import read_lm_eval
from .long_table import Mapping, read_long_table
from .peft import read_peft

__all__ = ["Imported", "Mapping", "complete", "read_helm", "read_lm_eval", "read_long_table", "read_peft"]
