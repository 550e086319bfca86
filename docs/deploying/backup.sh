#!/bin/sh
# Dumps the store of GATEWAY_STORE to FOLDER, with the key of hashed opt-outs, and removes backups older than KEEP days.
# Usage: backup.sh FOLDER [KEEP]
set -eu
umask 077
folder=$1
name=$folder/profiles-$(date -u +%Y%m%dT%H%M%SZ)

profile-gateway dump "$name.ndjson"
gzip "$name.ndjson"

secret=${GATEWAY_SECRET_FILE:-${GATEWAY_STORE#sqlite:///}.secret}
if [ -f "$secret" ]; then
    cp "$secret" "$name.secret"
fi
find "$folder" -name 'profiles-*' -mtime "+${2:-30}" -delete
