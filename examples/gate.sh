#!/usr/bin/env bash
# A gate before a release: 0 = go, 1 = stop, and every doubt is a stop. `docs/gate.md` says how to use it.
#
#   GATE_PATH          what is looked at
#   GATE_COMMAND       screen (default) or score
#   GATE_POLICY        TOML file with your limits, for score
#   GATE_CALIBRATION   from `reid-audit calibrate`, for score
#   GATE_ALLOW_REVIEW  true: REVIEW goes, with a warning; FAIL and INCOMPLETE never do
#   GATE_OUTPUT        folder for junit.xml and the result (default reid-audit-gate)
set -uo pipefail

command="${GATE_COMMAND:-screen}"
output="${GATE_OUTPUT:-reid-audit-gate}"
if [ -z "${GATE_PATH:-}" ]; then
    echo "GATE_PATH is empty: name the release that is to be looked at" >&2
    exit 1
fi
mkdir -p "$output" || exit 1

arguments=("$GATE_PATH")
case "$command" in
    screen) arguments+=(--expect-defaced) ;;
    score)
        arguments+=(--output "$output/result" --overwrite)
        if [ -n "${GATE_POLICY:-}" ]; then arguments+=(--policy "$GATE_POLICY"); fi
        if [ -n "${GATE_CALIBRATION:-}" ]; then arguments+=(--calibration "$GATE_CALIBRATION"); fi
        ;;
    *)
        echo "GATE_COMMAND is $command: it must be screen or score" >&2
        exit 1
        ;;
esac

(umask 077 && reid-audit "$command" "${arguments[@]}" --format junit > "$output/junit.xml")
code=$?

stop=1
case "$code" in
    0) state=pass stop=0 ;;
    1) state=fail ;;
    3) state=review; if [ "${GATE_ALLOW_REVIEW:-false}" = true ]; then stop=0; fi ;;
    4) state=incomplete ;;
    *) state=error ;; # wrong use, a fault, stopped: nothing was shown, so nothing goes
esac

echo "reid-audit $command: $state (exit code $code); $output/junit.xml has a line for each rule or image"
if [ "$state" = review ] && [ "$stop" = 0 ]; then echo "::warning::REVIEW: a human must look before this is released"; fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "state=$state" >> "$GITHUB_OUTPUT"; fi
exit "$stop"
