"""A key file as releases before 0.2.0 wrote it: schema 1, with scrypt."""

from typing import Final

SCHEMA_1: Final = """{
  "schema_version": 1,
  "keys": [
    {
      "id": "8c3d49487a84",
      "name": "ward",
      "scopes": ["predict"],
      "salt": "337b8e6492fdaed143d5ac33a1a5abc5",
      "hash": "11882198afe78f56575643f2669d1cb491161f9fb27737d53e0ce87d58a73927",
      "created": "2026-11-29T19:01:21Z"
    }
  ]
}
"""

SCHEMA_1_KEY: Final = "lentigo_8c3d49487a84_ccIKcU-nGmRA6vj4zQOVWhbm-ugUnue_bxLvpustaaM"
"""The key of that file, made for this test; it opens nothing."""
