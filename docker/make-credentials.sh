#!/bin/sh
# Writes a self-signed certificate, its key and a random token into the folder $1, once.
#
# Clients take certificate.pem as MGIT_TLS_CA and the content of token as MGIT_TOKEN; key.pem stays with the service.
set -eu

folder=$1
umask 077

if [ -s "$folder/token" ]; then
    echo "credentials are there already"
    exit 0
fi

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \
    -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,DNS:mgit,IP:127.0.0.1" \
    -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
chmod 0644 "$folder/certificate.pem"

# The token comes last and whole: it says that all is there.
openssl rand -hex 32 > "$folder/token.new"
mv "$folder/token.new" "$folder/token"
echo "wrote a certificate and a token"
