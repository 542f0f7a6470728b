#!/usr/bin/env bash
# Generates the Python code of the wire contract beside its .proto files.
# With --check it changes nothing and fails where the committed code is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
target=proto
if [[ "${1:-}" == --check ]]; then
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
fi
python -m grpc_tools.protoc -I proto --mypy_out="quiet:$target" \
  --python_out="$target" --grpc_python_out="$target" --mypy_grpc_out="quiet:$target" \
  proto/mgit_proto/v1/*.proto
if [[ "${1:-}" == --check ]]; then
  for made in "$target"/mgit_proto/v1/*; do
    diff -u "proto/mgit_proto/v1/$(basename "$made")" "$made" || {
      echo "The generated code is stale: run 'make proto'." >&2
      exit 1
    }
  done
fi
