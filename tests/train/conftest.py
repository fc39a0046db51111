from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def peers(data) -> Path:
    """Models by others, beside the images that AILSR_DATA names."""
    folder = data.parent / "peers"
    if not folder.is_dir():
        pytest.skip(f"no models of others: {folder} is missing")
    return folder
