"""The secrets of a whole stack: made once, kept, and written to a folder for each service.

::

    vault ── authority ──► redis: certificate         cameras' keys ◄── dispatcher/keyring
      └───── passwords ──► redis: users.acl, and an address file for each service and camera

No service's folder has more than it needs: ``docs/security.md``, "What a stack mounts".
"""

from narrows.ops.secrets.stack import SecretsPlan, WrittenSecrets, provision

__all__ = ["SecretsPlan", "WrittenSecrets", "provision"]
