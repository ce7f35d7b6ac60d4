#!/bin/sh
# The two things that pip cannot bring. Debian's are installed where that is allowed.
#   tools/system.sh venv PYTHON DIR    make a virtual environment
#   tools/system.sh chromium           see that there is a browser for the tests
set -eu

install() { # install PACKAGE…: true when apt-get could
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then as=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo -n"
    else return 1
    fi
    echo "Installing $* with apt-get" >&2
    $as apt-get update -qq </dev/null >&2 &&
        DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq \
            --no-install-recommends "$@" </dev/null >&2
}

case "${1-}" in
venv)
    "$2" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
        echo "Python 3.10 or newer is needed; try: make PYTHON=python3.12" >&2
        exit 1
    }
    if ! "$2" -m venv "$3" 2>/dev/null; then
        rm -rf "$3"
        install python3-venv || {
            echo "Python's venv module is missing. Run: sudo apt-get install python3-venv" >&2
            exit 1
        }
        "$2" -m venv "$3"
    fi
    ;;
chromium)
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null && exit 0
    done
    install chromium fonts-dejavu-core || {
        echo "No Chromium: the browser tests will not run. Run: sudo apt-get install chromium" >&2
    }
    ;;
*)
    sed -n '2,4p' "$0"
    exit 2
    ;;
esac
