"""One file plus environment: ``narrows.toml``, whose keys are the commands' own options.

The options' declarations are the only place where a key's type, range and default stand; nothing here repeats them.
"""

from narrows.configuration.file import Configuration, Setting, read
from narrows.configuration.key import Key, keys_of

__all__ = ["Configuration", "Key", "Setting", "keys_of", "read"]
