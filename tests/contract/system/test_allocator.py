import ctypes
import subprocess
import sys

import pytest

from lentigo_contract.system.allocator import return_free_memory

if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"):
    pytest.skip("only glibc 2.33 and later tells of its blocks", allow_module_level=True)

# In a process of its own, since the setting holds for the whole process. Prints how many bytes of a
# block of 2 MiB have a mapping of their own, after one of 20 MiB was freed.
_PROGRAM = """
import ctypes, sys
from lentigo_contract.system.allocator import return_large_blocks

NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()

class Info(ctypes.Structure):  # man 3 mallinfo
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
if "set" in sys.argv:
    return_large_blocks()
large = bytearray(20 * 2**20)
del large
before = mallinfo().hblkhd
block = bytearray(2 * 2**20)
print(mallinfo().hblkhd - before)
"""


def mapped(*arguments: str) -> int:
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    return int(run.stdout)


def test_a_large_block_has_a_mapping_that_goes_when_it_is_freed() -> None:
    assert mapped("set") >= 2 * 2**20


def test_without_the_setting_it_would_be_kept() -> None:
    assert mapped() == 0


def test_free_memory_can_be_returned_at_any_time() -> None:
    block = bytearray(2**20)
    return_free_memory()
    assert len(block) == 2**20
