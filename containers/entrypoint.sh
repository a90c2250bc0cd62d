#!/bin/sh
# A BIDS-App is called as `image BIDS_DIR OUT_DIR participant|group ...`; anything else is a command of reid-audit.
set -eu
case "${3:-}" in
    participant | group) exec reid-audit bids "$@" ;;
    *) exec reid-audit "$@" ;;
esac
