"""Files of numba's disk cache that count as absent where they are damaged or cannot be read."""

import hashlib
import pickle
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Final

from numba.core.caching import IndexDataCacheFile

_DIGEST: Final = hashlib.sha256().digest_size


class CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """Index and machine code of one entry point, with checksums.

    Without them a damaged file would raise what unpickling raises, in this process and in all later
    ones, and damaged machine code would end the process.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save machine code, with its key.

        Where two processes save at once, one may give a file to a key and the other fill it.
        """
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        """Machine code of a key; None where there is none."""
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None

    def _dump(self, obj: Any) -> bytes:
        """Pickle, and add the checksum."""
        content: bytes = super()._dump(obj)
        return content + hashlib.sha256(content).digest()

    def _load_index(self) -> dict[Any, str]:
        """Names of data files by key; none where they are of another version."""
        try:
            with Path(self._index_path).open("rb") as file:
                version = pickle.load(file)
                if version != self._version:
                    return {}
                stamp, names = _checked(file.read())
        except FileNotFoundError:
            return {}
        # Garbage may raise anything when it is unpickled.
        except Exception as error:  # noqa: BLE001
            warn_of_damage(self._index_path, error)
            return {}
        return names if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        """What a data file holds."""
        path = self._data_path(name)
        try:
            return _checked(Path(path).read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            warn_of_damage(path, error)
            return None


def _checked(content: bytes) -> Any:
    """What was pickled; ValueError where the checksum is of other bytes."""
    pickled, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(pickled).digest() != digest:
        msg = "its checksum is wrong"
        raise ValueError(msg)
    return pickle.loads(pickled)


def warn_of_damage(path: str, error: Exception) -> None:
    """Say that a file is compiled anew."""
    _warn_once(f"{path} is damaged or cannot be read, and is compiled anew: {error!r}")


def warn_of_saving(folder: str, error: OSError) -> None:
    """Say that compiled code is not saved, for a reason that all files of the folder share."""
    _warn_once(
        f"nvmix's compiled code cannot be saved in {folder}, so each process spends seconds on "
        f"compiling: {error.strerror or error}"
    )


@cache
def _warn_once(message: str) -> None:
    """Warn, at the first call with this message."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)
