#!/usr/bin/env bash
# Everything that the stack needs on this machine, for `make setup` or by itself: ./local/setup.sh [--for-tests]
#   1. a Python environment in .venv with the versions of constraints.txt
#   2. Mosquitto and a Java runtime (17 or 21) through the system's package manager, where missing
#   3. Kafka's and Spark's jars in var/jars
# Repeatable: what is there is kept, and an interrupted run goes on where it stopped.
# --for-tests adds gpsd, against which the tests check the simulated receivers, and Chromium, in which they open the
# dashboard; without them those tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MEMBERS=(contracts firmware-sim edge bridge cloud/spark cloud/aws cloud/dashboard local)
UV_VERSION=0.9.7
FOR_TESTS=false
case "${1:-}" in
  "") ;;
  --for-tests) FOR_TESTS=true ;;
  *) echo "usage: ./local/setup.sh [--for-tests]" >&2; exit 2 ;;
esac

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# --- the system's package manager ------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif [ -t 0 ]; then sudo "$@"          # May ask for a password.
  else sudo -n "$@"
  fi
}

can_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

# apt_install PACKAGE...; a fresh machine has no package lists yet, so they are fetched once.
APT_UPDATED=false
apt_update() {
  $APT_UPDATED && return
  say "fetching the package lists"
  as_root apt-get update -qq || say "some package lists could not be fetched; going on with what is there"
  APT_UPDATED=true
}
apt_install() {
  say "installing $* (apt-get)"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The first of some packages that this release has.
apt_first() {
  local name
  for name in "$@"; do
    if [ -n "$(apt-cache policy "$name" 2>/dev/null | grep -E 'Candidate: [^(]')" ]; then echo "$name"; return; fi
  done
  echo "$1"
}

# --- 1. Python -------------------------------------------------------------------------------------------------------

python_is_new_enough() {
  "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2]))' 2>/dev/null
}

find_python() {
  local name
  # Versions that the pinned packages have wheels for come first.
  for name in python3.11 python3.12 python3.13 python3; do
    if command -v "$name" >/dev/null && python_is_new_enough "$name"; then command -v "$name"; return; fi
  done
  return 1
}

make_venv() {
  local python
  python=$(find_python) || fail "no Python 3.11 or later was found (python3 is $(python3 --version 2>&1 || echo absent)).
  Install one, e.g.  sudo apt-get install python3.11 python3.11-venv   or   brew install python@3.12   and repeat."
  say "Python environment in .venv ($("$python" --version))"
  rm -rf .venv
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    local package
    package="$(basename "$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')")-venv"
    command -v apt-get >/dev/null && can_be_root || fail "$python cannot make environments; install:  sudo apt-get install $package"
    apt_update
    apt_install "$package"
  fi
  "$python" -m venv .venv
}

setup_python() {
  if ! { [ -x .venv/bin/python ] && python_is_new_enough .venv/bin/python; }; then make_venv; fi
  # The same files and the same interpreter give the same environment: then there is nothing to do.
  local stamp=.venv/.smartcity-setup wanted member files=(constraints.txt pyproject.toml) editable=()
  for member in "${MEMBERS[@]}"; do files+=("$member/pyproject.toml"); editable+=(-e "./$member"); done
  wanted="$(cat "${files[@]}" | cksum) $(cd .venv && pwd -P) $(.venv/bin/python --version)"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  rm -f "$stamp"
  .venv/bin/python -m pip --version >/dev/null 2>&1 || make_venv
  if [ ! -x .venv/bin/uv ]; then
    say "installing uv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" \
      || fail "pip could not install uv; check the network and repeat"
  fi
  say "installing the Python packages of constraints.txt"
  .venv/bin/uv pip install --python .venv/bin/python -c constraints.txt "${editable[@]}" --group dev \
    || fail "the Python packages could not be installed; check the network and repeat"
  echo "$wanted" > "$stamp"
}

# --- 2. Mosquitto and Java -------------------------------------------------------------------------------------------

setup_programs() {
  local missing java mosquitto_had=true
  missing=$(.venv/bin/python -c 'from smartcity.local.programs import missing_programs as m; print(*m())')
  [ -z "$missing" ] && return
  say "missing: $missing"
  if command -v apt-get >/dev/null; then
    local packages="mosquitto mosquitto-clients openjdk-17-jre-headless"
    can_be_root || fail "not root, and sudo is not available without a password here. Type this, then repeat:
  sudo apt-get update && sudo apt-get install $packages"
    apt_update
    local install=()
    case " $missing " in *" mosquitto "*) install+=(mosquitto); mosquitto_had=false ;; esac
    case " $missing " in *" mosquitto_pub "*) install+=(mosquitto-clients) ;; esac
    case " $missing " in *" java "*) java=$(apt_first openjdk-17-jre-headless openjdk-21-jre-headless); install+=("$java") ;; esac
    apt_install "${install[@]}" || fail "apt-get could not install: ${install[*]}; see above and repeat"
    $mosquitto_had || say "the package may have started a Mosquitto of its own on port 1883; the stack then takes another port"
  elif command -v brew >/dev/null; then
    local install=()
    case " $missing " in *mosquitto*) install+=(mosquitto) ;; esac
    case " $missing " in *" java "*) install+=(openjdk@17) ;; esac
    say "installing ${install[*]} (brew)"
    brew install --quiet "${install[@]}" || fail "brew could not install: ${install[*]}; see above and repeat"
  elif command -v dnf >/dev/null; then
    fail "type this, then repeat:  sudo dnf install mosquitto java-21-openjdk-headless"
  elif command -v pacman >/dev/null; then
    fail "type this, then repeat:  sudo pacman -S mosquitto jre17-openjdk-headless"
  else
    fail "install Mosquitto 2 with its clients and a Java runtime 17 or 21 with your package manager, then repeat"
  fi
  missing=$(.venv/bin/python -c 'from smartcity.local.programs import missing_programs as m; print(*m())')
  [ -z "$missing" ] || fail "still missing after installing: $missing"
}

setup_test_programs() {
  command -v gpsd >/dev/null || [ -x /usr/sbin/gpsd ] && command -v gpspipe >/dev/null && return
  if command -v apt-get >/dev/null && can_be_root; then
    apt_update
    apt_install gpsd gpsd-clients || say "gpsd could not be installed; the test against it is skipped"
  else
    say "gpsd is missing; the test against it is skipped (sudo apt-get install gpsd gpsd-clients)"
  fi
}

setup_browser() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && return
  if command -v apt-get >/dev/null && can_be_root; then
    apt_update
    apt_install chromium fonts-dejavu-core || say "Chromium could not be installed; the dashboard's browser tests are skipped"
  else
    say "Chromium is missing; the dashboard's browser tests are skipped (sudo apt-get install chromium)"
  fi
}

setup_python
setup_programs
if $FOR_TESTS; then
  setup_test_programs
  setup_browser
fi
exec .venv/bin/smartcity setup
