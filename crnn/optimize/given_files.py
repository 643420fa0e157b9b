"""The files of a user's model: one, or one with others beside it that hold the weights."""

import hashlib
import shutil
import zipfile
from pathlib import Path

_PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".bin")


def is_pickle(path: Path) -> bool:
    """Whether a file is read by unpickling: one of ``torch.save``. TorchScript is an archive with code."""
    if path.suffix not in _PICKLED or not zipfile.is_zipfile(path):
        return path.suffix in _PICKLED
    with zipfile.ZipFile(path) as archive:
        return not any("/code/" in name for name in archive.namelist())


def files_of(path: Path) -> list[Path]:
    """A model's own file, then those with its weights: external data of ``.onnx``, the ``.bin`` of ``.xml``.

    Raises:
        ValueError: the file is truncated, or not what its suffix says.
    """
    if path.suffix == ".xml":
        return [path, path.with_suffix(".bin")]
    if path.suffix == ".onnx":
        from crnn.formats import onnx_file

        return [path, *onnx_file.beside(path)]
    return [path]


def sha256_of(path: Path) -> str:
    """SHA-256 of the contents of a model's files, one after the other.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for file in files_of(path):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def take_over(path: Path, target: Path) -> None:
    """Copy a user's model into one file: external data move into the ``.onnx``, an OpenVINO pair into an archive."""
    if path.suffix == ".xml":
        from crnn.formats import openvino_file

        openvino_file.write(openvino_file.openvino.Core().read_model(path), target)
    elif len(files_of(path)) > 1:
        import onnx

        onnx.save(onnx.load(path), target)
    else:
        shutil.copyfile(path, target)
