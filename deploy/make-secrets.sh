#!/bin/sh
# Draw the secrets that deploy/compose.yaml reads, unless they are there: sh deploy/make-secrets.sh
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
draw() { [ -s "secrets/$1" ] || head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"secrets/$1"; }
draw database_password
draw secret_key
draw jwt_secret
[ -s secrets/database_url ] || printf 'postgresql://privwiz:%s@database/privwiz' "$(cat secrets/database_password)" >secrets/database_url
# Containers read them as users of their own; on this machine the folder keeps everybody else out.
chmod 0444 secrets/database_password secrets/database_url secrets/secret_key secrets/jwt_secret
