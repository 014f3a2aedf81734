"""Where instances are noticed: Orthanc's feed of changes, queries by QIDO-RS, and C-STORE."""
