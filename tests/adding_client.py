"""A client process that adds one model and says how far it is: ``start``, ``sent SHARE``…, ``ack UID``."""

from __future__ import annotations

import sys

import mgit


def main(address: str, name: str, path: str, request_id: str, parent: str) -> None:
    def tell(done_bytes: int, total_bytes: int) -> None:
        print(f"sent {done_bytes / total_bytes:.3f}", flush=True)

    with mgit.connect(address) as repository:
        print("start", flush=True)
        parents = [mgit.Parent(parent, mgit.Relation.FINETUNED)]
        model = repository.add(name, path, parents=parents, request_id=request_id, progress=tell)
        print(f"ack {model.uid}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
