#!/bin/sh
# A hub and two folders in a temporary place, kept the same until Ctrl-C; nothing else is touched.
set -eu
place=$(mktemp -d)
trap 'kill $hub $bob 2>/dev/null || true; wait 2>/dev/null; rm -rf "$place"' EXIT INT TERM
crdtsync hub --data "$place/hub" --port 0 --json > "$place/hub.log" &
hub=$!
until grep -q listening "$place/hub.log" 2>/dev/null; do
  kill -0 $hub 2>/dev/null || { cat "$place/hub.log"; exit 1; }
done
url=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' "$place/hub.log" | head -1)
mkdir "$place/ann"
printf 'Edit me in any editor; bob/hello.txt is the same file.\n' > "$place/ann/hello.txt"
crdtsync join demo "$place/bob" --hub "$url" --name Bob --json > "$place/bob.log" &
bob=$!
echo "Two folders are the same now: $place/ann and $place/bob"
echo "Edit files in either. Ctrl-C ends the demo."
crdtsync join demo "$place/ann" --hub "$url" --name Ann || true
