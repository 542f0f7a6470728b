#!/bin/sh
# Runs mgit-service with what stands in files, so that no secret stands in the environment of a container.
set -eu

read_secret() {
    # $1: name of the setting; $2: file that holds its value.
    if [ -n "$2" ]; then
        export "$1=$(cat "$2")"
    fi
}

read_secret MGIT_TOKEN "${MGIT_TOKEN_FILE:-}"
read_secret NEO4J_PASSWORD "${NEO4J_PASSWORD_FILE:-}"

exec mgit-service "$@"
