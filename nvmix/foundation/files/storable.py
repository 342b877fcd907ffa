"""Objects that are saved as JSON."""

from __future__ import annotations

import os
from abc import abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nvmix.foundation.files.json_text import MOST_BYTES, json_text
from nvmix.foundation.files.pickles import PublicPickle, package
from nvmix.foundation.files.replacing import replace_file
from nvmix.foundation.validation import with_article

FORMAT: Final = "nvmix"
# Version of the fields; readers know it and those before.
SCHEMA: Final = 1


class Storable(PublicPickle):
    """Base of the classes of the package that can be saved in a file."""

    @abstractmethod
    def _record(self) -> dict[str, Any]:
        """Kind and fields, as JSON has them."""

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, of numbers, texts, lists and dicts alone: what `save` writes.

        Returns
        -------
        dict
            With doubles that come back to the last bit; inf and nan are the texts "inf", "-inf" and
            "nan". ``nvmix.from_dict`` makes the object again.

        Raises
        ------
        TypeError, ValueError
            If JAX traces the object, it is a stack of several, or of a class of your own.

        Examples
        --------
        >>> import nvmix
        >>> record = nvmix.Gamma(alpha=2.0, beta=0.5).to_dict()
        >>> record["parameters"]
        {'alpha': 2.0, 'beta': 0.5}
        >>> nvmix.from_dict(record)
        Gamma(alpha=2.0, beta=0.5)
        """
        if not self._is_public():
            name = with_article(type(self).__name__)
            msg = f"{name} cannot be saved: it is of a class that nvmix does not have"
            raise TypeError(msg)
        version = package().__version__
        return {"format": FORMAT, "schema": SCHEMA, "version": version, **self._record()}

    def save(self, path: Any) -> None:
        """Write to a file, which `nvmix.load` reads: the fields of `to_dict` and the date, as JSON.

        Parameters
        ----------
        path : path
            The file, in a directory that exists. It is written completely or not at all, and
            replaces one that is there.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError, ValueError
            As of `to_dict`, or if path is no path.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import nvmix
        >>> path = Path(tempfile.mkdtemp()) / "law.json"
        >>> nvmix.Gamma(alpha=2.0, beta=0.5).save(path)
        >>> nvmix.load(path)
        Gamma(alpha=2.0, beta=0.5)
        """
        if not isinstance(path, str | os.PathLike):
            msg = f"path must be a path, got {path!r}"
            raise TypeError(msg)
        record = self.to_dict()
        record["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        content = json_text(record).encode("ascii")
        if len(content) > MOST_BYTES:
            msg = f"{len(content)} bytes are more than the {MOST_BYTES} that are read again"
            raise ValueError(msg)
        replace_file(Path(path).resolve(), content)
