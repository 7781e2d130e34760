#!/usr/bin/env bash
# Makes demo.mp3 again. Needs espeak-ng and lame (Debian 12's were used); other versions give other bytes.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

text="Hello. This is Maple Street Clinic. Your appointment is on Tuesday, at half past ten. To change it, please call us back.
This message is a demonstration: there is no such clinic. Thank you, and good bye."
espeak-ng -v en-us -s 165 -w "$work/demo.wav" "$text"
lame --quiet --resample 22.05 -m m -b 24 "$work/demo.wav" demo.mp3
