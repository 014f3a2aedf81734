"""`python -P -m lentigo_inference.shadow DESCRIPTOR`: the process of a shadow version."""

from lentigo_contract.system.priority import yield_to_all

if __name__ == "__main__":
    # Before anything else is loaded, which takes a second of a processor.
    yield_to_all()
    from lentigo_inference.shadow.worker import main

    main()
