"""One file plus environment: ``narrows.toml``, whose keys are the commands' own options.

The options' declarations are the only place where a key's type, range and default stand; nothing here repeats them.
"""

from narrows.runtime.config.file import Configuration, Setting, read
from narrows.runtime.config.key import Key, keys_of

__all__ = ["Configuration", "Key", "Setting", "keys_of", "read"]
