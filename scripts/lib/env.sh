# shellcheck shell=sh
# What the programs and tests need to find what `scripts/setup` made. Sourced from the repository's
# root by the Makefile's recipes; a value that is already set wins.

# Debian keeps mosquitto in /usr/sbin, which an ordinary user's PATH lacks.
PATH="$PATH:/usr/sbin"
export PATH

if [ -z "${ORT_DYLIB_PATH:-}" ] && [ -f target/onnxruntime/libonnxruntime.so ]; then
    ORT_DYLIB_PATH="$PWD/target/onnxruntime/libonnxruntime.so"
    export ORT_DYLIB_PATH
fi

# The stamp is written last: without it the packages are not all there.
if [ -z "${FOOTFALL_PYTHON:-}" ] && [ -f target/py/installed.txt ]; then
    FOOTFALL_PYTHON="$PWD/target/py/bin/python"
    export FOOTFALL_PYTHON
fi
